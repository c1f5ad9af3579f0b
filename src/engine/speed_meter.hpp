// Measured speed of the engine: what a refusal's Retry-After and an estimate are made of.
//
// Pure; owned by the scheduler. Averages fade, so that it follows the machine as it is now.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <optional>

namespace deepseek::engine {

class SpeedMeter {
 public:
  // A step that computed `tokens`, some of them of prompts, took so long.
  void step(std::int32_t tokens, std::int32_t prefill_tokens, std::chrono::nanoseconds took);
  // A sequence ended, `held_ms` after it had been admitted; a place in the batch is free.
  void ended(base::TimePoint now, std::int64_t completion_tokens, double held_ms);

  std::optional<double> tokens_per_second() const;
  // Of steps that mostly read prompts. A step that makes one token for each sequence is far slower
  // per token, so it says nothing of how long a prompt will take.
  std::optional<double> prefill_tokens_per_second() const { return prefill_tokens_per_second_; }
  std::optional<double> answer_ms() const { return answer_ms_; }
  std::optional<double> answer_tokens() const { return answer_tokens_; }
  std::optional<double> step_ms() const { return step_ms_; }

  // How long until the next place is free, with so many running and so many prompt tokens before
  // it. Between 1 s and 60 s; 1 s when nothing was measured.
  std::chrono::milliseconds until_free(std::int32_t running, std::int64_t prompt_tokens) const;

 private:
  std::optional<double> tokens_per_second_;
  std::optional<double> prefill_tokens_per_second_;
  std::optional<double> step_ms_;
  std::optional<double> answer_tokens_;
  std::optional<double> answer_ms_;
  std::optional<double> end_interval_ms_;
  std::optional<base::TimePoint> last_end_;
};

}  // namespace deepseek::engine
