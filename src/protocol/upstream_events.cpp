#include "protocol/upstream_events.hpp"

#include "protocol/json.hpp"
#include "protocol/quote.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::size_t head_text_bytes_max = 256;

// Tool calls and logprobs are rare and deep, so they are read from a tree. A tree that does not
// parse (duplicate keys, say) reads as none.
json::array parse_list(std::string_view text) {
  auto value = parse_json(text, {});
  if (!value || !value->is_array()) return {};
  return std::move(value->get_array());
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

std::string bounded(const JsonText& text) {
  std::string out;
  // Six bytes of an escape make one at least.
  JsonText{text.raw.substr(0, 6 * head_text_bytes_max), text.escaped}.append_to(out);
  return std::string(utf8_prefix(out, head_text_bytes_max));
}

void append_tool_calls(std::string_view tool_calls, std::int32_t sequence,
                       std::vector<Event>& events) {
  const json::array calls = parse_list(tool_calls);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const json::object* call = calls[i].if_object();
    if (call == nullptr) continue;
    ToolCallDelta delta;
    delta.sequence = sequence;
    // A whole answer numbers its calls by their order only.
    const json::value* index = call->if_contains("index");
    const std::int64_t* number = index == nullptr ? nullptr : index->if_int64();
    const bool fits =
        number != nullptr && *number >= 0 && *number <= std::numeric_limits<std::int32_t>::max();
    delta.index = fits ? static_cast<std::int32_t>(*number) : static_cast<std::int32_t>(i);
    delta.id = text_of(*call, "id");
    const json::value* function = call->if_contains("function");
    if (function != nullptr && function->is_object()) {
      delta.name = text_of(function->get_object(), "name");
      delta.arguments = text_of(function->get_object(), "arguments");
    }
    events.emplace_back(std::move(delta));
  }
}

void append_tool_piece(const UpstreamChoice& choice, std::vector<Event>& events) {
  ToolCallDelta delta;
  delta.sequence = choice.index;
  delta.index = choice.tool.index;
  choice.tool.id.append_to(delta.id);
  choice.tool.name.append_to(delta.name);
  choice.tool.arguments.append_to(delta.arguments);
  events.emplace_back(std::move(delta));
}

TokenLogprob read_logprob(const json::object& object) {
  TokenLogprob token;
  token.bytes = text_of(object, "token");
  if (const json::value* logprob = object.if_contains("logprob")) {
    if (logprob->is_number()) token.logprob = logprob->to_number<double>();
  }
  const json::value* bytes = object.if_contains("bytes");
  if (bytes == nullptr || !bytes->is_array()) return token;
  std::string exact;
  for (const json::value& byte : bytes->get_array()) {
    const std::int64_t* value = byte.if_int64();
    if (value == nullptr || *value < 0 || *value > 255) return token;
    exact += static_cast<char>(*value);
  }
  token.bytes = std::move(exact);
  return token;
}

// Of the chat form: {"content": [{"token", "logprob", "bytes", "top_logprobs"} …]}.
std::vector<TokenLogprob> read_logprobs(std::string_view text) {
  std::vector<TokenLogprob> tokens;
  const auto value = parse_json(text, {});
  if (!value || !value->is_object()) return tokens;
  const json::value* content = value->get_object().if_contains("content");
  if (content == nullptr || !content->is_array()) return tokens;
  for (const json::value& entry : content->get_array()) {
    if (!entry.is_object()) continue;
    TokenLogprob token = read_logprob(entry.get_object());
    const json::value* top = entry.get_object().if_contains("top_logprobs");
    if (top != nullptr && top->is_array()) {
      for (const json::value& alternative : top->get_array()) {
        if (!alternative.is_object()) continue;
        token.alternatives.push_back(read_logprob(alternative.get_object()));
      }
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

void UpstreamEvents::add(const UpstreamChunk& chunk, std::vector<Event>& events) {
  for (const UpstreamChoice& choice : chunk.choices) {
    if (choice.index < 0 || static_cast<std::size_t>(choice.index) >= sequences_.size()) continue;
    Sequence& sequence = sequences_[static_cast<std::size_t>(choice.index)];
    if (!sequence.started) {
      sequence.started = true;
      events.emplace_back(Started{choice.index, 0, 0});
    }
    if (!choice.content.empty() || !choice.reasoning.empty() || !choice.logprobs.empty() ||
        !choice.signature.empty() || !choice.redacted.empty()) {
      Delta delta;
      delta.sequence = choice.index;
      choice.content.append_to(delta.content);
      choice.reasoning.append_to(delta.reasoning);
      choice.signature.append_to(delta.reasoning_signature);
      choice.redacted.append_to(delta.redacted_reasoning);
      if (!choice.logprobs.empty()) delta.logprobs = read_logprobs(choice.logprobs);
      events.emplace_back(std::move(delta));
    }
    if (!choice.tool_calls.empty()) append_tool_calls(choice.tool_calls, choice.index, events);
    if (choice.tool.index >= 0) append_tool_piece(choice, events);
    if (choice.finish_reason) sequence.finish_reason = choice.finish_reason;
    if (!choice.stop_text.empty()) sequence.stop_sequence = bounded(choice.stop_text);
  }
}

bool UpstreamEvents::finished() const {
  return std::all_of(sequences_.begin(), sequences_.end(),
                     [](const Sequence& sequence) { return sequence.finish_reason.has_value(); });
}

void UpstreamEvents::finish(const Usage& usage, std::vector<Event>& events) {
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    Finished finished;
    finished.sequence = static_cast<std::int32_t>(i);
    finished.reason = sequences_[i].finish_reason.value_or(FinishReason::stop);
    finished.stop_sequence = sequences_[i].stop_sequence;
    if (i == 0) finished.usage = usage;
    events.emplace_back(finished);
  }
}

AnswerHead read_answer_head(const UpstreamChunk& chunk) {
  AnswerHead head;
  head.id = bounded(chunk.id);
  head.created = chunk.created;
  head.model = bounded(chunk.model);
  head.system_fingerprint = bounded(chunk.system_fingerprint);
  return head;
}

}  // namespace deepseek::protocol
