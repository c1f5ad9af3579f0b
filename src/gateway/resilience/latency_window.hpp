// How long something took over the last half to whole minute: quantiles and a moving average, in
// constant memory.
//
// Pure; one owner. Times fall into buckets that grow by an eighth of an octave, so a quantile is
// within 7 % of the truth; two halves of 30 s take turns, so nothing is copied or aged. record() is
// constant time. quantiles() walks the buckets at most every `refresh`, for it is asked once per
// request.
#pragma once

#include "base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace deepseek::gateway {

struct LatencyQuantiles {
  std::uint64_t count = 0;  // 0: the rest means nothing
  std::chrono::microseconds p50{};
  std::chrono::microseconds p95{};
  std::chrono::microseconds p99{};
};

class LatencyWindow {
 public:
  static constexpr base::Milliseconds half_time{30'000};
  static constexpr base::Milliseconds refresh{250};
  static constexpr std::uint64_t always_exact_max = 64;  // below it, every question recounts

  void record(std::chrono::microseconds time, base::TimePoint now);
  const LatencyQuantiles& quantiles(base::TimePoint now);
  // The share `rank` in (0, 1] of the times is at most this; 0 without any.
  std::chrono::microseconds quantile(double rank, base::TimePoint now);
  // Exponential moving average, the newest time weighing an eighth; 0 before the first. It does not
  // age, so a backend without traffic keeps its last value.
  std::chrono::microseconds average() const { return average_; }

 private:
  static constexpr std::size_t octaves = 33;  // up to 2.4 hours; longer counts as that
  static constexpr std::size_t bucket_count = octaves * 8;
  struct Half {
    std::array<std::uint32_t, bucket_count> buckets{};
    std::uint64_t count = 0;
  };
  void rotate(base::TimePoint now);
  std::chrono::microseconds find(double rank) const;

  std::array<Half, 2> halves_{};
  std::size_t newest_ = 0;
  base::TimePoint newest_end_{};
  LatencyQuantiles known_;
  base::TimePoint known_until_{};
  bool changed_ = false;
  std::chrono::microseconds average_{};
};

}  // namespace deepseek::gateway
