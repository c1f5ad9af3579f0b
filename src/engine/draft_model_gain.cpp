#include "engine/draft_model_gain.hpp"

#include <algorithm>

namespace deepseek::engine {
namespace {

constexpr double kCountedMax = 256;       // guesses; older ones fade
constexpr double kFading = 1.0 / 16;      // of rounds
constexpr std::int32_t kSkippedMax = 64;  // steps without guesses; then one is tried
constexpr std::int32_t kFirst = 4;        // guesses before anything was measured

}  // namespace

std::int32_t DraftModelGain::worth(const Step& step, std::int32_t most) {
  if (most <= 0 || step.sequences <= 0) return 0;
  if (step.plain_ms <= 0 || round_ms_ <= 0) return std::min(most, kFirst);
  std::int32_t best = 0;
  double best_rate = 1 / step.plain_ms;
  double expected = 1;  // tokens of one sequence
  double all_right = 1;
  double took = step.plain_ms;
  for (std::int32_t count = 1; count <= most; ++count) {
    all_right *= chance();
    expected += all_right;
    took += round_ms_ + step.sequences * step.checked_ms;
    if (took > step.longest_ms) break;
    if (expected / took <= best_rate) continue;
    best_rate = expected / took;
    best = count;
  }
  if (best == 0 && ++skipped_ < kSkippedMax) return 0;
  skipped_ = 0;
  return std::max(best, 1);
}

void DraftModelGain::compared(std::int32_t guessed, std::int32_t right) {
  right_ += right;
  all_ += std::min(right + 1, guessed);
  if (all_ < kCountedMax) return;
  right_ /= 2;
  all_ /= 2;
}

void DraftModelGain::drafted(std::int32_t rounds, std::chrono::nanoseconds took) {
  if (rounds <= 0) return;
  const double ms = std::chrono::duration<double, std::milli>(took).count() / rounds;
  round_ms_ = round_ms_ <= 0 ? ms : round_ms_ + kFading * (ms - round_ms_);
}

}  // namespace deepseek::engine
