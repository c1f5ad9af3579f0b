#include "engine/draft_gain.hpp"

#include <algorithm>
#include <bit>

namespace deepseek::engine {
namespace {

constexpr double kCountedMax = 256;   // guesses; older ones fade
constexpr double kFading = 1.0 / 32;  // of steps
constexpr double kCostUnknown = 0.5;  // before steps of different sizes were seen
constexpr double kCostMin = 0.02;
// So much variance of sizes makes up for not knowing.
constexpr double kVarianceUnknown = 0.05;

std::size_t row_of(std::int32_t match) {
  const auto width =
      static_cast<std::int32_t>(std::bit_width(static_cast<std::uint32_t>(std::max(match, 1))));
  return static_cast<std::size_t>(std::clamp(width - 2, 0, 4));
}

}  // namespace

void DraftGain::guessed(const PromptLookup::Outcome& outcome) {
  Counts& counts = counts_[row_of(outcome.match)];
  counts.all += 1;
  counts.right += outcome.right ? 1 : 0;
  if (counts.all < kCountedMax) return;
  counts.all /= 2;
  counts.right /= 2;
}

void DraftGain::stepped(std::int32_t tokens, std::chrono::nanoseconds took) {
  const double ms = std::chrono::duration<double, std::milli>(took).count();
  if (tokens <= 0 || ms <= 0) return;
  if (took_ <= 0) {
    tokens_ = tokens;
    took_ = ms;
    return;
  }
  const double more_tokens = tokens - tokens_;
  const double more_time = ms - took_;
  tokens_ += kFading * more_tokens;
  took_ += kFading * more_time;
  variance_ = (1 - kFading) * (variance_ + kFading * more_tokens * more_tokens);
  covariance_ = (1 - kFading) * (covariance_ + kFading * more_tokens * more_time);
}

double DraftGain::chance(std::int32_t match) const {
  const Counts& counts = counts_[row_of(match)];
  return counts.right / counts.all;
}

double DraftGain::one_more() const {
  const double average = took_ / tokens_;
  const double slope =
      (covariance_ + kVarianceUnknown * kCostUnknown * average) / (variance_ + kVarianceUnknown);
  return std::clamp(slope, kCostMin * average, average);
}

double DraftGain::cost() const {
  return took_ > 0 ? one_more() / (took_ / tokens_) : kCostUnknown;
}

double DraftGain::milliseconds(std::int32_t tokens) const {
  return took_ > 0 ? std::max(took_ + (tokens - tokens_) * one_more(), 0.0) : 0;
}

std::int32_t DraftGain::worth(std::int32_t match, std::int32_t length) const {
  const double least = cost();
  double all_right = 1;
  for (std::int32_t count = 0; count < length; ++count) {
    all_right *= chance(match + count);
    if (all_right < least) return count;
  }
  return length;
}

}  // namespace deepseek::engine
