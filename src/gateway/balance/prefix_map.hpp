// Which replicas have seen which block of a prompt lately: a guess at what is in their caches.
//
// Pure; one owner. Fixed memory: 24 bytes per block, allocated when made. Like a processor's cache
// it is cut into sets of eight places, and a set that is full forgets its least recently used
// block; that needs no list, no rehashing and no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace deepseek::gateway {

class PrefixMap {
 public:
  // A bit per replica; only the first 64 are kept track of.
  using Replicas = std::uint64_t;

  struct Match {
    Replicas replicas = 0;   // that have all of the matched blocks
    std::size_t blocks = 0;  // how many leading blocks matched
  };

  // Room for `blocks_max` blocks, rounded down to a power of two (at least eight).
  explicit PrefixMap(std::size_t blocks_max);

  // The longest beginning of `blocks` that one of `among` has.
  Match longest(std::span<const std::uint64_t> blocks, Replicas among) const;
  // The replica is about to read them.
  void insert(std::span<const std::uint64_t> blocks, std::size_t replica);
  void forget(std::size_t replica);
  std::size_t capacity() const { return sets_.size() * ways; }

 private:
  static constexpr std::size_t ways = 8;
  struct alignas(64) Set {
    std::array<std::uint64_t, ways> blocks{};  // 0: free
    std::array<Replicas, ways> replicas{};
    std::array<std::uint64_t, ways> used{};
  };
  Set& set_of(std::uint64_t block) { return sets_[block & (sets_.size() - 1)]; }
  const Set& set_of(std::uint64_t block) const { return sets_[block & (sets_.size() - 1)]; }

  std::vector<Set> sets_;
  std::uint64_t clock_ = 0;
};

}  // namespace deepseek::gateway
