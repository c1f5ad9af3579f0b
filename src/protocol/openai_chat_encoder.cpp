#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"

namespace deepseek::protocol {
namespace {

std::string_view reason_name(FinishReason reason, bool old_functions) {
  if (old_functions && reason == FinishReason::tool_calls) return "function_call";
  return to_string(reason);
}

class ChatStream final : public StreamEncoder {
 public:
  ChatStream(const AnswerHead& head, const Request& request)
      : StreamEncoder(head.usage_before),
        prefix_("data: " + answer_prefix(head, "chat.completion.chunk") + ",\"choices\":["),
        suffix_(request.stream_usage ? "],\"usage\":null}\n\n" : "]}\n\n"),
        with_usage_(request.stream_usage),
        old_functions_(wants_old_functions(request)),
        begun_(request.sequence_count(), head.resumed) {}

  void on_event(const Event& event, std::vector<std::string>& frames) override {
    const std::int32_t sequence = sequence_of(event);
    if (sequence < 0 || static_cast<std::size_t>(sequence) >= begun_.size()) return;
    if (std::holds_alternative<Started>(event)) return;
    if (!begun_[static_cast<std::size_t>(sequence)]) {
      begun_[static_cast<std::size_t>(sequence)] = true;
      frame(sequence, frames) += "\"role\":\"assistant\",\"content\":\"\"";
      close(frames.back(), nullptr, "null");
    }
    if (const auto* delta = std::get_if<Delta>(&event)) {
      on_delta(*delta, frames);
    } else if (const auto* call = std::get_if<ToolCallDelta>(&event)) {
      if (old_functions_) {
        on_function_call(*call, frames);
      } else {
        on_tool_call(*call, frames);
      }
    } else if (const auto* end = std::get_if<Finished>(&event)) {
      usage_ += end->usage;
      frame(sequence, frames);
      close(frames.back(), nullptr,
            "\"" + std::string(reason_name(end->reason, old_functions_)) + "\"");
    }
  }

  void finish(std::vector<std::string>& frames) override {
    if (with_usage_) frames.push_back(usage_frame(prefix_, usage_));
    frames.emplace_back(stream_end);
  }

 private:
  std::string& frame(std::int32_t sequence, std::vector<std::string>& frames) const {
    std::string& out = frames.emplace_back();
    out.reserve(prefix_.size() + suffix_.size() + 160);
    out += prefix_;
    out += "{\"index\":";
    append_json_integer(out, sequence);
    out += ",\"delta\":{";
    return out;
  }

  void close(std::string& out, const std::vector<TokenLogprob>* logprobs,
             std::string_view finish_reason) const {
    out += "},\"logprobs\":";
    if (logprobs != nullptr && !logprobs->empty()) {
      append_chat_logprobs(out, *logprobs);
    } else {
      out += "null";
    }
    out += ",\"finish_reason\":";
    out += finish_reason;
    out += '}';
    out += suffix_;
  }

  void on_delta(const Delta& delta, std::vector<std::string>& frames) const {
    if (delta.content.empty() && delta.reasoning.empty() && delta.logprobs.empty()) return;
    std::string& out = frame(delta.sequence, frames);
    if (!delta.reasoning.empty()) {
      out += "\"reasoning_content\":";
      append_json_string(out, delta.reasoning);
    }
    if (!delta.content.empty() || delta.reasoning.empty()) {
      if (!delta.reasoning.empty()) out += ',';
      out += "\"content\":";
      append_json_string(out, delta.content);
    }
    close(out, &delta.logprobs, "null");
  }

  void on_tool_call(const ToolCallDelta& call, std::vector<std::string>& frames) const {
    std::string& out = frame(call.sequence, frames);
    out += "\"tool_calls\":[{\"index\":";
    append_json_integer(out, call.index);
    if (!call.id.empty()) {
      out += ",\"id\":";
      append_json_string(out, call.id);
      out += ",\"type\":\"function\"";
    }
    out += ",\"function\":{";
    if (!call.name.empty()) {
      out += "\"name\":";
      append_json_string(out, call.name);
      out += ',';
    }
    out += "\"arguments\":";
    append_json_string(out, call.arguments);
    out += "}}]";
    close(out, nullptr, "null");
  }

  // The old form has room for one call.
  void on_function_call(const ToolCallDelta& call, std::vector<std::string>& frames) const {
    if (call.index != 0) return;
    std::string& out = frame(call.sequence, frames);
    out += "\"function_call\":";
    ObjectWriter function(out);
    function.text("name", call.name);
    function.string("arguments", call.arguments);
    function.close();
    close(out, nullptr, "null");
  }

  const std::string prefix_;
  const std::string suffix_;
  const bool with_usage_;
  const bool old_functions_;
  std::vector<bool> begun_;  // the chunk with the role was sent
};

void append_message(std::string& out, const AnswerChoice& choice, bool old_functions) {
  out += "{\"role\":\"assistant\",\"content\":";
  if (choice.content.empty() && !choice.tool_calls.empty()) {
    out += "null";
  } else {
    append_json_string(out, choice.content);
  }
  if (!choice.reasoning.empty()) {
    out += ",\"reasoning_content\":";
    append_json_string(out, choice.reasoning);
  }
  if (!choice.tool_calls.empty() && old_functions) {
    out += ",\"function_call\":";
    ObjectWriter function(out);
    function.string("name", choice.tool_calls.front().name);
    function.string("arguments", choice.tool_calls.front().arguments);
    function.close();
  } else if (!choice.tool_calls.empty()) {
    out += ",\"tool_calls\":";
    append_tool_calls(out, choice.tool_calls);
  }
  out += ",\"refusal\":null}";
}

}  // namespace

std::unique_ptr<StreamEncoder> make_chat_stream(const AnswerHead& head, const Request& request) {
  return std::make_unique<ChatStream>(head, request);
}

std::string chat_body(const AnswerHead& head, const Answer& answer) {
  std::string out = answer_prefix(head, "chat.completion") + ",\"choices\":[";
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    const AnswerChoice& choice = answer.choices[i];
    out += i > 0 ? ",{\"index\":" : "{\"index\":";
    append_json_integer(out, static_cast<std::int64_t>(i));
    out += ",\"message\":";
    append_message(out, choice, answer.old_functions);
    out += ",\"logprobs\":";
    if (answer.with_logprobs) {
      append_chat_logprobs(out, choice.logprobs);
    } else {
      out += "null";
    }
    out += ",\"finish_reason\":\"";
    out += reason_name(choice.finish_reason, answer.old_functions);
    out += "\"}";
  }
  out += "],\"usage\":";
  append_usage(out, answer.usage);
  out += '}';
  return out;
}

}  // namespace deepseek::protocol
