#include "protocol/upstream_chunk.hpp"

#include <algorithm>
#include <limits>

namespace deepseek::protocol {
namespace {

std::int64_t read_count(JsonScanner& scanner) {
  return json_integer(scanner.value()).value_or(-1);
}

void read_text(JsonScanner& scanner, JsonText& out) {
  if (scanner.peek() == '"') {
    scanner.string(out);
  } else {
    scanner.value();
  }
}

// True for a value that says something: not null, not an empty string, list or object.
bool says_something(std::string_view value) {
  if (value == "null" || value == "\"\"" || value.empty()) return false;
  const char first = value.front();
  if (first != '[' && first != '{') return true;
  const std::size_t inside = value.find_first_not_of(" \t\r\n", 1);
  return inside != std::string_view::npos && inside + 1 < value.size();
}

void read_message(JsonScanner& scanner, UpstreamChoice& choice) {
  JsonText key;
  if (scanner.peek() != '{') {
    scanner.value();
    return;
  }
  scanner.enter_object();
  while (scanner.next_key(key)) {
    if (key.is("content")) {
      if (scanner.peek() == '[') {
        choice.other = says_something(scanner.value()) || choice.other;
      } else {
        read_text(scanner, choice.content);
      }
    } else if (key.is("reasoning_content")) {
      read_text(scanner, choice.reasoning);
    } else if (key.is("reasoning") && choice.reasoning.empty()) {
      read_text(scanner, choice.reasoning);
    } else if (key.is("tool_calls")) {
      const std::string_view calls = scanner.value();
      if (says_something(calls)) choice.tool_calls = calls;
    } else if (key.is("refusal") || key.is("audio") || key.is("function_call")) {
      choice.other = says_something(scanner.value()) || choice.other;
    } else {
      scanner.value();
    }
  }
}

void read_finish_reason(JsonScanner& scanner, UpstreamChoice& choice, UpstreamChunk& chunk) {
  JsonText& text = choice.finish_text;
  text = {};
  read_text(scanner, text);
  if (text.empty()) return;
  if (text.is("insufficient_system_resource") || text.is("abort") || text.is("error")) {
    chunk.interrupted = true;
  } else if (text.is("length")) {
    choice.finish_reason = FinishReason::length;
  } else if (text.is("tool_calls") || text.is("function_call")) {
    choice.finish_reason = FinishReason::tool_calls;
  } else if (text.is("content_filter")) {
    choice.finish_reason = FinishReason::content_filter;
  } else {
    choice.finish_reason = FinishReason::stop;  // stop, eos, eos_token, stop_sequence …
  }
}

void read_choice(JsonScanner& scanner, UpstreamChunk& chunk) {
  UpstreamChoice& choice = chunk.choices.emplace_back();
  JsonText key;
  scanner.enter_object();
  while (scanner.next_key(key)) {
    if (key.is("delta") || key.is("message")) {
      read_message(scanner, choice);
    } else if (key.is("index")) {
      const std::int64_t index = read_count(scanner);
      const bool fits = index >= 0 && index <= std::numeric_limits<std::int32_t>::max();
      choice.index = fits ? static_cast<std::int32_t>(index) : -1;
    } else if (key.is("finish_reason")) {
      read_finish_reason(scanner, choice, chunk);
    } else if (key.is("stop_reason")) {
      read_text(scanner, choice.stop_text);
    } else if (key.is("text")) {
      read_text(scanner, choice.content);
    } else if (key.is("logprobs")) {
      const std::string_view logprobs = scanner.value();
      if (says_something(logprobs)) choice.logprobs = logprobs;
    } else {
      scanner.value();
    }
  }
}

void read_choices(JsonScanner& scanner, UpstreamChunk& chunk) {
  if (scanner.peek() != '[') {
    scanner.value();
    return;
  }
  chunk.choices.clear();
  chunk.has_choices = true;
  scanner.enter_array();
  while (scanner.next_entry()) {
    if (scanner.peek() == '{') {
      read_choice(scanner, chunk);
    } else {
      scanner.value();
    }
  }
}

// One count of an object inside `usage`, as {"cached_tokens": 3}.
void read_detail(JsonScanner& scanner, std::string_view name, std::int64_t& count) {
  if (scanner.peek() != '{') {
    scanner.value();
    return;
  }
  JsonText key;
  scanner.enter_object();
  while (scanner.next_key(key)) {
    const std::string_view value = scanner.value();
    if (key.is(name) && value != "null") count = json_integer(value).value_or(-1);
  }
}

void read_usage(JsonScanner& scanner, UpstreamChunk& chunk) {
  if (scanner.peek() != '{') {
    scanner.value();
    return;
  }
  Usage usage{-1, -1, 0, 0};
  std::optional<std::int64_t> hit;
  JsonText key;
  scanner.enter_object();
  while (scanner.next_key(key)) {
    if (key.is("prompt_tokens")) {
      usage.prompt_tokens = read_count(scanner);
    } else if (key.is("completion_tokens")) {
      usage.completion_tokens = read_count(scanner);
    } else if (key.is("prompt_cache_hit_tokens")) {
      const std::string_view value = scanner.value();
      if (value != "null") hit = json_integer(value).value_or(-1);
    } else if (key.is("prompt_tokens_details")) {
      read_detail(scanner, "cached_tokens", usage.prompt_cache_hit_tokens);
    } else if (key.is("completion_tokens_details")) {
      read_detail(scanner, "reasoning_tokens", usage.reasoning_tokens);
    } else {
      scanner.value();
    }
  }
  if (hit) usage.prompt_cache_hit_tokens = *hit;
  chunk.usage = usage;
}

}  // namespace

bool UpstreamChunk::has_content() const {
  return std::any_of(choices.begin(), choices.end(),
                     [](const UpstreamChoice& choice) { return choice.has_content(); });
}

bool read_upstream_chunk(std::string_view json, UpstreamChunk& chunk) {
  JsonScanner scanner(json);
  if (!scanner.enter_object()) return false;
  JsonText key;
  bool is_error = false;
  while (scanner.next_key(key)) {
    if (key.is("choices")) {
      read_choices(scanner, chunk);
    } else if (key.is("usage")) {
      read_usage(scanner, chunk);
    } else if (key.is("id")) {
      read_text(scanner, chunk.id);
    } else if (key.is("created")) {
      chunk.created = std::max<std::int64_t>(read_count(scanner), 0);
    } else if (key.is("model")) {
      read_text(scanner, chunk.model);
    } else if (key.is("system_fingerprint")) {
      read_text(scanner, chunk.system_fingerprint);
    } else if (key.is("object")) {
      is_error = scanner.value() == "\"error\"" || is_error;
    } else if (key.is("error")) {
      const std::string_view error = scanner.value();
      if (says_something(error)) chunk.error = error;
    } else {
      scanner.value();
    }
  }
  if (!scanner.finished()) return false;
  if (is_error && chunk.error.empty()) chunk.error = json;
  return true;
}

}  // namespace deepseek::protocol
