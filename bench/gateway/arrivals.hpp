// When requests are due and what they ask for: constant and Poisson arrivals, Zipf keys. Pure and
// seeded, so that every peer sees the same sequence.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace bench {

/// Times of requests after the start, in nanoseconds, at `rate` a second. Seed 0 spaces them
/// evenly.
class Arrivals {
 public:
  Arrivals(double rate, std::uint64_t seed)
      : mean_ns_(1e9 / rate), poisson_(seed != 0), random_(seed) {}

  std::int64_t next() {
    const double due = at_ns_;
    at_ns_ += poisson_ ? gap_(random_) * mean_ns_ : mean_ns_;
    return static_cast<std::int64_t>(due);
  }

 private:
  double mean_ns_;
  bool poisson_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_{1.0};
  double at_ns_ = 0;
};

/// Keys 0 to `keys` - 1, key k with a likelihood proportional to 1 / (k + 1)^exponent.
class Zipf {
 public:
  Zipf(std::size_t keys, double exponent, std::uint64_t seed) : random_(seed), seen_(keys) {
    double sum = 0;
    for (std::size_t key = 0; key < keys; ++key) {
      sum += std::pow(static_cast<double>(key + 1), -exponent);
      sums_.push_back(sum);
    }
  }

  std::size_t next() {
    const double point = share_(random_) * sums_.back();
    const auto found = std::upper_bound(sums_.begin(), sums_.end(), point);
    const auto key = std::min(static_cast<std::size_t>(found - sums_.begin()), sums_.size() - 1);
    if (!seen_[key]) ++distinct_;
    seen_[key] = true;
    return key;
  }

  /// How many different keys next() has returned: what a cache without bounds must ask for.
  std::size_t distinct() const { return distinct_; }

 private:
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> share_{0.0, 1.0};
  std::vector<double> sums_;
  std::vector<bool> seen_;
  std::size_t distinct_ = 0;
};

}  // namespace bench
