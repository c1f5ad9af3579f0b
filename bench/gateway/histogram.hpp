// Times in buckets whose width grows with the value: every percentile is right to 0.4 %, and one
// histogram costs 58 KB however much it counts. Used by one thread. Holds nothing else of a run.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace bench {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++buckets_[index_of(value)];
    ++count_;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    const double number = static_cast<double>(value);
    const double before = number - mean_;  // Welford's method: no cancellation of large squares
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (number - mean_);
  }

  void clear() { *this = Histogram(); }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return count_ ? max_ : 0; }
  double mean() const { return mean_; }
  double deviation() const {
    return count_ > 1 ? std::sqrt(squares_ / static_cast<double>(count_ - 1)) : 0;
  }

  /// The smallest value that `share` (0 to 1) of all values do not exceed; 0 of nothing.
  std::uint64_t percentile(double share) const {
    if (count_ == 0) return 0;
    const double wanted = std::ceil(share * static_cast<double>(count_));
    const std::uint64_t rank = wanted < 1 ? 1 : static_cast<std::uint64_t>(wanted);
    std::uint64_t seen = 0;
    for (std::size_t index = 0; index < buckets_.size(); ++index) {
      seen += buckets_[index];
      if (seen >= rank) return std::clamp(middle_of(index), min_, max_);
    }
    return max_;
  }

 private:
  // 128 buckets for each doubling; below 256 a bucket holds one value.
  static constexpr unsigned kBits = 7;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) << kBits;

  static std::size_t index_of(std::uint64_t value) {
    const unsigned width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
    return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t middle_of(std::size_t index) {
    const std::size_t half = std::size_t{1} << kBits;
    if (index < 2 * half) return index;
    const std::size_t shift = (index >> kBits) - 1;
    const std::uint64_t low = (static_cast<std::uint64_t>(index & (half - 1)) | half) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

}  // namespace bench
