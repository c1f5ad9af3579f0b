// How many prompt tokens a step may read so that it takes no longer than its target: the gap
// between two tokens of an answer while somebody decodes, else how long a newcomer may have to
// wait.
//
// Pure; owned by the scheduler. It follows the steps as they were measured: a step that took longer
// than the target makes the next ones smaller, a shorter one makes them larger. No model of the
// machine is needed, and attention over a growing context is followed as it comes.
#pragma once

#include "base/clock.hpp"

#include <cstdint>

namespace deepseek::engine {

class StepBudget {
 public:
  struct Options {
    base::Milliseconds target_gap{100};
    std::int32_t tokens_min = 32;    // fewer cost much more each: the knee of the kernels
    std::int32_t tokens_max = 512;   // of a step
    std::int32_t tokens_first = 64;  // before anything was measured
  };

  explicit StepBudget(const Options& options);

  // Prompt tokens that the next step may read.
  std::int32_t tokens() const { return static_cast<std::int32_t>(tokens_); }
  std::int32_t tokens_min() const { return options_.tokens_min; }
  // A step of this kind read so many prompt tokens and took so long.
  void measured(std::int32_t prefill_tokens, std::chrono::nanoseconds took);

 private:
  Options options_;
  double tokens_;
};

}  // namespace deepseek::engine
