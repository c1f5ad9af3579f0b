// Going on with a broken answer on another upstream: whether that is sound, and what to ask for.
//
// Pure; linear in the body and in the text so far. The text so far is kept, bounded, by the caller.
#pragma once

#include "protocol/event.hpp"
#include "protocol/upstream_body.hpp"
#include "protocol/upstream_chunk.hpp"
#include "protocol/usage_check.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// What the client has got of an answer of one choice.
struct AnswerSoFar {
  // Adds what a frame or event brought. Of more than `bytes_max` of text nothing is kept: the
  // answer is then `cut`.
  void add(const UpstreamChunk& chunk, std::size_t bytes_max);
  void add(const Event& event, std::size_t bytes_max);

  std::string content;
  std::string reasoning;
  // Made so far, reasoning included. Backends that tell token ids are believed; where pieces are as
  // short as tokens, each counts as one; longer ones are estimated.
  std::int64_t tokens = 0;
  bool cut = false;        // there was more text than the caller keeps
  bool tool_call = false;  // a tool call has begun
  bool other = false;      // a refusal, audio or anything else that cannot be given back
  std::optional<FinishReason> finish_reason = {};

  bool empty() const { return content.empty() && reasoning.empty(); }

 private:
  void settle(std::size_t bytes_max);

  TokenEstimate estimate_;
  std::int64_t pieces_ = 0;
  std::int64_t exact_ = 0;
};

// Why nobody can go on with an answer to this request; empty if somebody may.
std::string_view why_never_continued(const Request& request);
// Why an upstream of this kind cannot go on where the answer broke, in words for the client and the
// audit; empty if it can.
std::string_view why_not_continued(const Request& request, const AnswerSoFar& so_far,
                                   Continuation kind);

struct ContinuationBody {
  std::string text;
  bool hide_usage = false;
  // All tokens that the client allowed are made: nothing to ask for, the answer has ended with
  // FinishReason::length.
  bool complete = false;
};

// Only if why_not_continued() is empty. As upstream_body(), with the text so far as (the end of)
// the last message or the prompt, and with max_tokens lowered by what was made.
ContinuationBody continuation_body(const Request& request, const BodyOutline& outline,
                                   const UpstreamForm& form, const AnswerSoFar& so_far);

// The value of `messages` with the assistant's text so far at its end, said as `kind` wants it.
// Joined with the last message if the client itself asked for its continuation.
std::string continued_messages(std::string_view messages, const Request& request, bool joins,
                               const AnswerSoFar& so_far, Continuation kind);

}  // namespace deepseek::protocol
