// Gathers the events of one answer into whole choices, for clients that do not stream.
//
// Pure value; owned by the request's coroutine. Its size is bounded by the request's own limits
// (choices and tokens), which the backend keeps.
#pragma once

#include "protocol/event.hpp"
#include "protocol/request.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::protocol {

// The client gave OpenAI's older `functions` and gets its calls in that form. A history in that
// form alone, which uses the same feature, does not make it so.
inline bool wants_old_functions(const Request& request) {
  for (const FeatureUse& use : request.features) {
    if (use.feature == Feature::functions) return use.param == "functions";
  }
  return false;
}

struct AnswerChoice {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
  std::vector<TokenLogprob> logprobs;
  FinishReason finish_reason = FinishReason::stop;
  bool finished = false;
  std::string reasoning_signature;
  std::vector<std::string> redacted_reasoning;
  std::string stop_sequence;
};

struct Answer {
  // `sequence_count` is Request::sequence_count(); `with_logprobs` is
  // Request::logprobs.has_value().
  explicit Answer(const Request& request)
      : choices(request.sequence_count()),
        with_logprobs(request.logprobs.has_value()),
        old_functions(wants_old_functions(request)) {}

  // Events of a sequence or tool call outside the request are ignored.
  void add(Event&& event);
  bool finished() const;  // every choice has finished

  std::vector<AnswerChoice> choices;
  bool with_logprobs = false;
  bool old_functions = false;  // wants_old_functions()
  Usage usage;                 // the sum over all choices
  Timings timings;             // the largest of each over all choices
};

}  // namespace deepseek::protocol
