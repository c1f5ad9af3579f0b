#include "protocol/event.hpp"

namespace deepseek::protocol {

Usage& Usage::operator+=(const Usage& other) {
  prompt_tokens += other.prompt_tokens;
  completion_tokens += other.completion_tokens;
  prompt_cache_hit_tokens += other.prompt_cache_hit_tokens;
  reasoning_tokens += other.reasoning_tokens;
  return *this;
}

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
    case FinishReason::content_filter:
      return "content_filter";
  }
  return "stop";
}

std::int32_t sequence_of(const Event& event) {
  return std::visit(
      [](const auto& told) -> std::int32_t {
        if constexpr (requires { told.sequence; }) {
          return told.sequence;
        } else {
          return -1;
        }
      },
      event);
}

}  // namespace deepseek::protocol
