// Sends a prompt where its beginning has been read before, unless the load forbids it.
//
// 1. If the loads are far apart (by more than 32 requests and by more than a tenth), the least
//    loaded replica gets it: a warm cache is not worth a queue.
// 2. Else, if a replica has seen more than half of the prompt, the least loaded of those that have
//    seen most of it.
// 3. Else the least loaded one, which thereby becomes the one that has seen it.
#include "gateway/balance/picking.hpp"
#include "gateway/balance/prefix_map.hpp"
#include "gateway/balance/strategies.hpp"

#include <algorithm>
#include <limits>

namespace deepseek::gateway {
namespace {

constexpr double load_gap_max = 32;
constexpr double load_factor_max = 1.1;
constexpr double match_min = 0.5;

class CacheAware final : public Strategy {
 public:
  explicit CacheAware(std::size_t blocks_max) : map_(blocks_max) {}

  Choice choose(const ChoiceInput& input) override {
    RandomSequence random(input.random);
    const Choice choice = decide(input, random);
    if (choice.index >= 0) {
      map_.insert(input.prefix_blocks, static_cast<std::size_t>(choice.index));
    }
    return choice;
  }

  void forget(std::size_t replica) override { map_.forget(replica); }

 private:
  Choice decide(const ChoiceInput& input, RandomSequence& random) const {
    const int least = pick_least_loaded(input.replicas, random);
    if (least < 0) return none_usable;
    if (uneven(input.replicas)) return {least, "least loaded, because the loads are far apart"};
    if (input.prefix_blocks.empty()) return {least, "least loaded, the prompt is short"};
    const auto match = map_.longest(input.prefix_blocks, usable(input.replicas));
    const double share =
        static_cast<double>(match.blocks) / static_cast<double>(input.prefix_blocks.size());
    if (share <= match_min) return {least, "least loaded, no cache has most of the prompt"};
    const auto has_it = [&](std::size_t i) {
      return i < cache_replicas_max && (match.replicas >> i & 1) != 0;
    };
    const int best = pick_best(input.replicas, random, has_it, compare_load);
    return {best, "it has most of the prompt in its cache"};
  }

  // Loads are compared per weight, as requests of a replica of average weight.
  static bool uneven(std::span<const ReplicaView> replicas) {
    double least = std::numeric_limits<double>::infinity(), most = 0;
    double weights = 0, count = 0;
    for (const ReplicaView& replica : replicas) {
      if (!eligible(replica)) continue;
      const double load = static_cast<double>(replica.in_flight) / replica.weight;
      least = std::min(least, load);
      most = std::max(most, load);
      weights += replica.weight;
      ++count;
    }
    return (most - least) * weights / count > load_gap_max && most > load_factor_max * least;
  }

  static PrefixMap::Replicas usable(std::span<const ReplicaView> replicas) {
    PrefixMap::Replicas out = 0;
    for (std::size_t i = 0; i < std::min(replicas.size(), cache_replicas_max); ++i) {
      if (eligible(replicas[i])) out |= PrefixMap::Replicas{1} << i;
    }
    return out;
  }

  PrefixMap map_;
};

}  // namespace

std::unique_ptr<Strategy> make_cache_aware(std::size_t prefix_blocks_max) {
  return std::make_unique<CacheAware>(prefix_blocks_max);
}

}  // namespace deepseek::gateway
