#include "gateway/resilience/latency_window.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace deepseek::gateway {

using base::TimePoint;
using std::chrono::microseconds;

namespace {

// Eight buckets an octave: the position of the leading bit, then the three bits below it.
std::size_t bucket_of(std::uint64_t us) {
  const auto octave = static_cast<std::size_t>(std::bit_width(us) - 1);
  return octave * 8 + (((us << 3) >> octave) & 7);
}

double lower_bound_of(std::size_t bucket) {
  return std::ldexp(static_cast<double>(8 + bucket % 8) / 8, static_cast<int>(bucket / 8));
}

}  // namespace

void LatencyWindow::rotate(TimePoint now) {
  if (now < newest_end_) return;
  const bool both = now >= newest_end_ + half_time;
  newest_ = 1 - newest_;
  halves_[newest_] = {};
  if (both) halves_[1 - newest_] = {};
  newest_end_ = both ? now + half_time : newest_end_ + half_time;
  known_until_ = now;
  changed_ = true;
}

void LatencyWindow::record(microseconds time, TimePoint now) {
  rotate(now);
  const std::int64_t us = std::max<std::int64_t>(time.count(), 1);
  Half& half = halves_[newest_];
  ++half.buckets[std::min(bucket_of(static_cast<std::uint64_t>(us)), bucket_count - 1)];
  ++half.count;
  average_ =
      average_.count() == 0 ? microseconds(us) : average_ + (microseconds(us) - average_) / 8;
  changed_ = true;
}

const LatencyQuantiles& LatencyWindow::quantiles(TimePoint now) {
  rotate(now);
  if (!changed_ || (now < known_until_ && known_.count >= always_exact_max)) return known_;
  known_ = {halves_[0].count + halves_[1].count, find(0.50), find(0.95), find(0.99)};
  known_until_ = now + refresh;
  changed_ = false;
  return known_;
}

microseconds LatencyWindow::quantile(double rank, TimePoint now) {
  rotate(now);
  return find(rank);
}

microseconds LatencyWindow::find(double rank) const {
  const double count = static_cast<double>(halves_[0].count + halves_[1].count);
  if (count == 0) return {};
  const double wanted = std::max(std::clamp(rank, 0.0, 1.0) * count, 1.0);
  double below = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    const double here = static_cast<double>(halves_[0].buckets[i]) + halves_[1].buckets[i];
    if (here > 0 && below + here >= wanted) {
      // Within a bucket the times are taken to be spread evenly.
      const double low = lower_bound_of(i);
      const double high = lower_bound_of(i + 1);
      return microseconds(std::llround(low + (high - low) * (wanted - below) / here));
    }
    below += here;
  }
  return microseconds(std::llround(lower_bound_of(bucket_count)));
}

}  // namespace deepseek::gateway
