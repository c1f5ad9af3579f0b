#include "engine/logprobs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace deepseek::engine {
namespace {

// Blocks let the compiler keep eight running maxima; a plain max_element is a chain of branches.
float maximum(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(values.front());
  std::size_t index = 0;
  for (; index + kLanes <= values.size(); index += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[index + lane];
      lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    }
  }
  float result = *std::max_element(lanes.begin(), lanes.end());
  for (; index < values.size(); ++index) result = std::max(result, values[index]);
  return result;
}

}  // namespace

Token argmax(std::span<const float> logits) {
  const auto found = std::find(logits.begin(), logits.end(), maximum(logits));
  return found == logits.end() ? 0 : static_cast<Token>(found - logits.begin());
}

TokenLogprobs logprobs(std::span<const float> logits, Token chosen, std::size_t alternatives) {
  const float top = maximum(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - top));
  const double log_sum = static_cast<double>(top) + std::log(sum);
  const auto logprob = [&](Token token) {
    return static_cast<double>(logits[static_cast<std::size_t>(token)]) - log_sum;
  };
  TokenLogprobs result;
  result.chosen = logprob(chosen);
  alternatives = std::min(alternatives, logits.size());
  if (alternatives == 0) return result;
  std::vector<Token> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(alternatives),
                    order.end(), [&](Token left, Token right) {
                      return logits[static_cast<std::size_t>(left)] >
                             logits[static_cast<std::size_t>(right)];
                    });
  for (std::size_t index = 0; index < alternatives; ++index) {
    result.most_likely.emplace_back(order[index], logprob(order[index]));
  }
  return result;
}

}  // namespace deepseek::engine
