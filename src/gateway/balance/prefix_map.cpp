#include "gateway/balance/prefix_map.hpp"

#include <algorithm>
#include <bit>

namespace deepseek::gateway {

namespace {
constexpr std::size_t tracked_max = 64;
}

PrefixMap::PrefixMap(std::size_t blocks_max)
    : sets_(std::bit_floor(std::max<std::size_t>(blocks_max / ways, 1))) {}

PrefixMap::Match PrefixMap::longest(std::span<const std::uint64_t> blocks, Replicas among) const {
  Match match{among, 0};
  for (const std::uint64_t block : blocks) {
    const Set& set = set_of(block);
    const auto* found = std::find(set.blocks.begin(), set.blocks.end(), block);
    if (found == set.blocks.end()) break;
    const Replicas both =
        match.replicas & set.replicas[static_cast<std::size_t>(found - set.blocks.begin())];
    if (both == 0) break;
    match.replicas = both;
    ++match.blocks;
  }
  if (match.blocks == 0) match.replicas = 0;
  return match;
}

void PrefixMap::insert(std::span<const std::uint64_t> blocks, std::size_t replica) {
  if (replica >= tracked_max) return;
  const Replicas bit = Replicas{1} << replica;
  // From the end to the beginning: a chain is worthless without its first blocks, so these count as
  // used last.
  for (std::size_t i = blocks.size(); i-- > 0;) {
    Set& set = set_of(blocks[i]);
    const auto* found = std::find(set.blocks.begin(), set.blocks.end(), blocks[i]);
    std::size_t way = static_cast<std::size_t>(found - set.blocks.begin());
    if (way == ways) {
      way = static_cast<std::size_t>(std::min_element(set.used.begin(), set.used.end()) -
                                     set.used.begin());
      set.blocks[way] = blocks[i];
      set.replicas[way] = 0;
    }
    set.replicas[way] |= bit;
    set.used[way] = ++clock_;
  }
}

void PrefixMap::forget(std::size_t replica) {
  if (replica >= tracked_max) return;
  for (Set& set : sets_) {
    for (Replicas& replicas : set.replicas) replicas &= ~(Replicas{1} << replica);
  }
}

}  // namespace deepseek::gateway
