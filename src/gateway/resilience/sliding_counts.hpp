// Counts of the recent past, in constant memory and time.
//
// Pure; one owner. The window is cut into slots that are forgotten one by one, so a total covers
// between 11/12 of the window and all of it. A time that lies before the newest seen counts as the
// newest: threads may report slightly out of order.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace deepseek::gateway {

template <std::size_t Kinds>
class SlidingCounts {
 public:
  static constexpr std::size_t slot_count = 12;

  explicit SlidingCounts(base::Milliseconds window)
      : width_(std::max<base::Clock::duration>(
            base::Clock::duration(window) / static_cast<std::int64_t>(slot_count),
            std::chrono::milliseconds(1))) {}

  void add(std::size_t kind, base::TimePoint now) {
    advance(now);
    ++slots_[newest_][kind];
    ++totals_[kind];
  }
  std::uint64_t total(std::size_t kind, base::TimePoint now) {
    advance(now);
    return totals_[kind];
  }
  void clear() {
    slots_ = {};
    totals_ = {};
  }

 private:
  void advance(base::TimePoint now) {
    if (now < newest_end_) return;
    const auto steps = (now - newest_end_) / width_ + 1;
    newest_end_ += steps * width_;
    if (steps >= static_cast<std::int64_t>(slot_count)) return clear();
    for (std::int64_t i = 0; i < steps; ++i) {
      newest_ = (newest_ + 1) % slot_count;
      for (std::size_t kind = 0; kind < Kinds; ++kind) {
        totals_[kind] -= slots_[newest_][kind];
        slots_[newest_][kind] = 0;
      }
    }
  }

  base::Clock::duration width_;
  base::TimePoint newest_end_{};
  std::size_t newest_ = 0;
  std::array<std::array<std::uint32_t, Kinds>, slot_count> slots_{};
  std::array<std::uint64_t, Kinds> totals_{};
};

}  // namespace deepseek::gateway
