#include "protocol/anthropic_chunk.hpp"

#include <algorithm>
#include <limits>

namespace deepseek::protocol {
namespace {

using Open = MessageBlocks::Open;

constexpr std::size_t calls_max = 1024;
constexpr std::int64_t count_max = std::int64_t{1} << 40;  // sums of these never overflow

// The fields of one object that are asked for, as pieces of its text; absent ones are empty. The
// object is valid JSON.
class Fields {
 public:
  explicit Fields(std::string_view object) : object_(object) {}

  std::string_view value(std::string_view name) const {
    JsonScanner scanner(object_);
    if (scanner.peek() != '{') return {};
    std::string_view found;
    JsonText key;
    scanner.enter_object();
    while (scanner.next_key(key)) {
      const std::string_view value = scanner.known_value();
      if (key.is(name)) found = value;
    }
    return found;
  }
  JsonText text(std::string_view name) const {
    JsonText text;
    JsonScanner scanner(value(name));
    if (scanner.peek() == '"') scanner.string(text);
    return text;
  }
  std::string_view object(std::string_view name) const {
    const std::string_view found = value(name);
    return found.starts_with('{') ? found : std::string_view();
  }

 private:
  std::string_view object_;
};

bool is_valid_object(std::string_view json) {
  JsonScanner scanner(json);
  if (scanner.peek() != '{') return false;
  scanner.value();
  return scanner.finished();
}

std::int32_t index_of(std::string_view value) {
  const std::int64_t index = json_integer(value).value_or(-1);
  const bool fits = index >= 0 && index < std::numeric_limits<std::int32_t>::max();
  return fits ? static_cast<std::int32_t>(index) : -1;
}

// What is there and no count reads as missing, so that it is estimated.
void take_count(std::string_view value, std::int64_t& count, std::int64_t missing) {
  if (value.empty() || value == "null") return;
  const std::int64_t told = json_integer(value).value_or(-1);
  count = told < 0 || told > count_max ? missing : told;
}

bool is_empty_object(std::string_view object) {
  return object.find_first_not_of(" \t\r\n", 1) == object.size() - 1;
}

void read_end(const Fields& fields, UpstreamChunk& chunk) {
  const JsonText reason = fields.text("stop_reason");
  if (reason.empty()) return;
  UpstreamChoice& choice = chunk.choices.emplace_back();
  choice.finish_text = reason;
  if (reason.is("max_tokens") || reason.is("model_context_window_exceeded")) {
    choice.finish_reason = FinishReason::length;
  } else if (reason.is("tool_use")) {
    choice.finish_reason = FinishReason::tool_calls;
  } else if (reason.is("refusal")) {
    choice.finish_reason = FinishReason::content_filter;
  } else {
    // end_turn, stop_sequence; pause_turn only where the provider runs tools of its own.
    choice.finish_reason = FinishReason::stop;
  }
  if (reason.is("stop_sequence")) choice.stop_text = fields.text("stop_sequence");
}

}  // namespace

bool AnthropicChunkReader::read(std::string_view json, UpstreamChunk& chunk) {
  if (!is_valid_object(json)) return false;
  const Fields event(json);
  const JsonText type = event.text("type");
  if (type.is("message_start")) {
    read_message(event.object("message"), chunk, false);
  } else if (type.is("content_block_start")) {
    begin_block(event.object("content_block"), index_of(event.value("index")), chunk);
  } else if (type.is("content_block_delta")) {
    read_delta(event.object("delta"), index_of(event.value("index")), chunk);
  } else if (type.is("content_block_stop")) {
    blocks_.open = Open::none;
  } else if (type.is("message_delta")) {
    read_end(Fields(event.object("delta")), chunk);
    read_usage(event.object("usage"), chunk);
  } else if (type.is("message_stop")) {
    chunk.last = true;
  } else if (type.is("error")) {
    const std::string_view error = event.value("error");
    chunk.error = error.empty() || error == "null" ? json : error;
  }
  chunk.blocks = blocks_;
  return true;
}

void AnthropicChunkReader::read_message(std::string_view message, UpstreamChunk& chunk,
                                        bool whole) {
  const Fields fields(message);
  chunk.id = fields.text("id");
  chunk.model = fields.text("model");
  chunk.choices.emplace_back();
  chunk.has_choices = true;
  read_usage(fields.object("usage"), chunk);
  if (!whole) return;
  read_blocks(fields.value("content"), chunk);
  read_end(fields, chunk);
}

void AnthropicChunkReader::read_blocks(std::string_view blocks, UpstreamChunk& chunk) {
  JsonScanner scanner(blocks);
  if (scanner.peek() != '[') return;
  scanner.enter_array();
  std::int32_t index = 0;
  while (scanner.next_entry()) {
    const std::string_view block = scanner.known_value();
    if (block.starts_with('{')) begin_block(block, index, chunk);
    ++index;
  }
}

// In a stream a block begins empty; in a whole message it holds all.
void AnthropicChunkReader::begin_block(std::string_view block, std::int32_t index,
                                       UpstreamChunk& chunk) {
  UpstreamChoice& choice = chunk.choices.emplace_back();
  const Fields fields(block);
  const JsonText type = fields.text("type");
  if (index >= 0) blocks_.next = index + 1;
  blocks_.open = Open::other;
  if (type.is("text")) {
    blocks_.open = Open::text;
    choice.content = fields.text("text");
  } else if (type.is("thinking")) {
    blocks_.open = Open::thinking;
    choice.reasoning = fields.text("thinking");
    choice.signature = fields.text("signature");
  } else if (type.is("redacted_thinking")) {
    choice.redacted = fields.text("data");
  } else if (type.is("tool_use") && calls_.size() < calls_max) {
    const std::string_view input = fields.object("input");
    Call& call = calls_.emplace_back();
    call.block = index;
    call.given = !input.empty() && !is_empty_object(input);
    choice.tool.index = static_cast<std::int32_t>(calls_.size()) - 1;
    choice.tool.id = fields.text("id");
    choice.tool.name = fields.text("name");
    if (call.given) choice.tool.arguments = {input, false};
  } else {
    choice.other = true;
  }
}

void AnthropicChunkReader::read_delta(std::string_view delta, std::int32_t index,
                                      UpstreamChunk& chunk) const {
  UpstreamChoice& choice = chunk.choices.emplace_back();
  const Fields fields(delta);
  const JsonText type = fields.text("type");
  if (type.is("text_delta")) {
    choice.content = fields.text("text");
  } else if (type.is("thinking_delta")) {
    choice.reasoning = fields.text("thinking");
  } else if (type.is("signature_delta")) {
    choice.signature = fields.text("signature");
  } else if (type.is("input_json_delta")) {
    const auto call = std::find_if(calls_.rbegin(), calls_.rend(),
                                   [index](const Call& one) { return one.block == index; });
    if (call == calls_.rend() || call->given) return;
    choice.tool.index = static_cast<std::int32_t>(calls_.rend() - call) - 1;
    choice.tool.arguments = fields.text("partial_json");
  }
}

// What came from a cache or went into it is no part of input_tokens. The counts of a later event
// stand for the whole answer so far.
void AnthropicChunkReader::read_usage(std::string_view usage, UpstreamChunk& chunk) {
  if (usage.empty()) return;
  const Fields fields(usage);
  take_count(fields.value("input_tokens"), counts_.input, -1);
  take_count(fields.value("cache_creation_input_tokens"), counts_.written, 0);
  take_count(fields.value("cache_read_input_tokens"), counts_.cached, 0);
  take_count(fields.value("output_tokens"), counts_.output, -1);
  Usage& told = chunk.usage.emplace();
  told.prompt_tokens = counts_.input < 0 ? -1 : counts_.input + counts_.written + counts_.cached;
  told.completion_tokens = counts_.output;
  told.prompt_cache_hit_tokens = counts_.cached;
}

bool read_anthropic_message(std::string_view json, UpstreamChunk& chunk) {
  if (!is_valid_object(json)) return false;
  const Fields fields(json);
  if (fields.text("type").is("error") || !fields.object("error").empty()) {
    const std::string_view error = fields.object("error");
    chunk.error = error.empty() ? json : error;
  } else if (fields.value("content").starts_with('[')) {
    AnthropicChunkReader reader;
    reader.read_message(json, chunk, true);
  }
  return true;
}

}  // namespace deepseek::protocol
