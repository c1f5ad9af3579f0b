// The body that an upstream of Anthropic's form gets, for a client of any form: the client's own
// bytes where nothing must change, pieces of them for a client of the same form, otherwise one made
// from the neutral request.
//
// Pure; linear, one copy. Thinking goes only where its own signature goes with it.
#pragma once

#include "protocol/continuation.hpp"
#include "protocol/request.hpp"
#include "protocol/said_space.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace deepseek::protocol {

struct AnthropicTarget {
  std::string_view model = {};                     // as the upstream names it; empty: as the client
  std::span<const std::string> allow_fields = {};  // sorted; they pass besides the known ones
  std::int64_t answer_tokens = 4096;               // max_tokens of a request that has none
};

struct AnthropicBody {
  std::string_view same;  // Request::raw_body, if nothing had to change
  std::string text;       // otherwise
  bool complete = false;  // as ContinuationBody has it
  SaidSpace said;         // to be left out of the answer

  std::string_view bytes() const { return text.empty() ? same : std::string_view(text); }
};

// Only if check_anthropic_support() holds. `so_far` is what the answer goes on behind, for which
// why_not_continued() holds; null: a new answer.
AnthropicBody anthropic_body(const Request& request, const AnthropicTarget& target,
                             const AnswerSoFar* so_far = nullptr);

// The body of a count of tokens, of a client of the same form.
std::string anthropic_count_body(const Request& request, const AnthropicTarget& target);

// For anthropic_body(): the same from the neutral request alone.
AnthropicBody made_anthropic_body(const Request& request, const AnthropicTarget& target,
                                  const AnswerSoFar* so_far);

// Whether this upstream may be asked to think: not in the middle of an answer, not in a loop of
// tools whose thinking has no signature of its own, and not where a tool must be called.
bool may_think(const Request& request, bool continues);
// A signature that a model of Anthropic has made.
bool is_real_signature(std::string_view signature);

}  // namespace deepseek::protocol
