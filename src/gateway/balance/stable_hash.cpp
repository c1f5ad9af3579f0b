#include "gateway/balance/stable_hash.hpp"

#include "gateway/resilience/random.hpp"

#include <bit>
#include <cstring>

namespace deepseek::gateway {
namespace {

constexpr std::uint64_t odd_a = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
constexpr std::uint64_t odd_b = 0xC2B2AE3D27D4EB4FULL;

std::uint64_t load(const char* from, std::size_t bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, bytes);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

std::uint64_t step(std::uint64_t state, std::uint64_t word, std::uint64_t odd) {
  state = (state ^ word) * odd;
  return state ^ (state >> 32);
}

}  // namespace

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed) {
  // Two lanes, because one multiplication waits for the one before.
  std::uint64_t even = mix_bits(seed + odd_a);
  std::uint64_t odd = even ^ (text.size() * odd_b);
  const char* from = text.data();
  std::size_t left = text.size();
  for (; left >= 16; left -= 16, from += 16) {
    even = step(even, load(from, 8), odd_a);
    odd = step(odd, load(from + 8, 8), odd_b);
  }
  if (left >= 8) {
    even = step(even, load(from, 8), odd_a);
    left -= 8;
    from += 8;
  }
  if (left > 0) odd = step(odd, load(from, left), odd_b);
  return mix_bits(even + std::rotl(odd, 32) * odd_a);
}

}  // namespace deepseek::gateway
