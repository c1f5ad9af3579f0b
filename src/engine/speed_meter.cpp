#include "engine/speed_meter.hpp"

#include <algorithm>

namespace deepseek::engine {
namespace {

constexpr double kFade = 0.1;             // weight of the newest value
constexpr std::int32_t kPrefillMin = 16;  // tokens of prompts in a step that tells their speed

void blend(std::optional<double>& average, double value) {
  average = average ? *average + kFade * (value - *average) : value;
}

}  // namespace

void SpeedMeter::step(std::int32_t tokens, std::int32_t prefill_tokens,
                      std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  if (tokens <= 0 || seconds <= 0) return;
  blend(tokens_per_second_, tokens / seconds);
  if (prefill_tokens >= kPrefillMin && 2 * prefill_tokens >= tokens) {
    blend(prefill_tokens_per_second_, prefill_tokens / seconds);
  }
  blend(step_ms_, seconds * 1e3);
}

void SpeedMeter::ended(base::TimePoint now, std::int64_t completion_tokens, double held_ms) {
  blend(answer_ms_, held_ms);
  blend(answer_tokens_, static_cast<double>(completion_tokens));
  if (last_end_) {
    const std::chrono::duration<double, std::milli> gap = now - *last_end_;
    // A quiet hour says nothing about the next burst.
    blend(end_interval_ms_, std::min(gap.count(), 60'000.0));
  }
  last_end_ = now;
}

std::optional<double> SpeedMeter::tokens_per_second() const {
  return tokens_per_second_;
}

std::chrono::milliseconds SpeedMeter::until_free(std::int32_t running,
                                                 std::int64_t prompt_tokens) const {
  double estimate_ms = 1000;
  if (end_interval_ms_) estimate_ms = *end_interval_ms_;
  if (tokens_per_second_ && *tokens_per_second_ > 0) {
    // The answers that run are on average half done; they share the machine.
    const double answers = running > 0 ? answer_tokens_.value_or(64) / 2 : 0;
    const double work = answers + static_cast<double>(prompt_tokens);
    estimate_ms = std::max(estimate_ms, work / *tokens_per_second_ * 1e3);
  }
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(std::clamp(estimate_ms, 1000.0, 60'000.0)));
}

}  // namespace deepseek::engine
