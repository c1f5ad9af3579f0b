#include "engine/step_budget.hpp"

#include <algorithm>

namespace deepseek::engine {
namespace {

// Of the target: what a step may take, since sampling and sending come on top of it.
constexpr double kShare = 0.9;
constexpr double kShrinkMost = 0.5;
constexpr double kGrowMost = 1.5;

}  // namespace

StepBudget::StepBudget(const Options& options)
    : options_(options),
      tokens_(std::clamp(options.tokens_first, options.tokens_min,
                         std::max(options.tokens_min, options.tokens_max))) {}

void StepBudget::measured(std::int32_t prefill_tokens, std::chrono::nanoseconds took) {
  if (prefill_tokens <= 0 || took.count() <= 0) return;
  const double target = kShare * std::chrono::duration<double>(options_.target_gap).count();
  const double ratio = target / std::chrono::duration<double>(took).count();
  // A step that was not full says nothing about a larger one.
  const bool full = prefill_tokens * 5 >= tokens() * 4;
  if (ratio > 1 && !full) return;
  tokens_ = std::clamp(tokens_ * std::clamp(ratio, kShrinkMost, kGrowMost),
                       static_cast<double>(options_.tokens_min),
                       static_cast<double>(std::max(options_.tokens_min, options_.tokens_max)));
}

}  // namespace deepseek::engine
