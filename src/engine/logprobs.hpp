// Log-probabilities of raw logits, and the fast greedy choice.
//
// Pure functions.
#pragma once

#include "engine/scheduler.hpp"

#include <span>
#include <utility>
#include <vector>

namespace deepseek::engine {

// The index of the largest logit; the first of equals. `logits` is not empty.
Token argmax(std::span<const float> logits);

struct TokenLogprobs {
  double chosen = 0;                                  // of the token that was taken
  std::vector<std::pair<Token, double>> most_likely;  // most likely first
};
// Log-softmax at temperature 1, before any sampling option.
TokenLogprobs logprobs(std::span<const float> logits, Token chosen, std::size_t alternatives);

}  // namespace deepseek::engine
