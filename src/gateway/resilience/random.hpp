// Numbers from random bits that a caller hands in: decisions own no generator, so a seed replays
// them.
//
// Pure. Not for secrets.
#pragma once

#include <cstdint>

namespace deepseek::gateway {

// Uniform in [0, 1), from the upper 53 of 64 uniform bits.
constexpr double unit_interval(std::uint64_t random) {
  return static_cast<double>(random >> 11) * 0x1.0p-53;
}

// A good mixing of 64 bits into 64 others, one to one (the finaliser of SplitMix64: Steele, Lea,
// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
constexpr std::uint64_t mix_bits(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

// Several numbers from one: SplitMix64.
class RandomSequence {
 public:
  explicit constexpr RandomSequence(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    return mix_bits(state_);
  }
  // Uniform in [0, bound) for bounds below 2^53; 0 for a bound of 0. Without 128-bit products or
  // rejection: a bias of 2^-53 is of no account for choosing among backends.
  constexpr std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>(unit_interval(next()) * static_cast<double>(bound));
  }

 private:
  std::uint64_t state_;
};

}  // namespace deepseek::gateway
