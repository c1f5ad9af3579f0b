// What the strategies share: who may be chosen, who has less to do, and fair random choice.
//
// Pure; no allocation.
#pragma once

#include "gateway/balance/strategy.hpp"
#include "gateway/resilience/random.hpp"

namespace deepseek::gateway {

inline constexpr Choice none_usable{-1, "no backend is usable"};

inline bool eligible(const ReplicaView& replica) {
  return replica.usable && replica.weight > 0;
}

// Negative: `a` has less in flight for its weight than `b`.
inline int compare_load(const ReplicaView& a, const ReplicaView& b) {
  const std::uint64_t left = std::uint64_t{a.in_flight} * b.weight;
  const std::uint64_t right = std::uint64_t{b.in_flight} * a.weight;
  return left < right ? -1 : left > right ? 1 : 0;
}

// The best of those that `accept` takes, by `compare` (negative: the first is better). Among equals
// each is chosen with a chance in proportion to its weight; otherwise the first in the list would
// get all the traffic of a quiet server. -1: none.
template <class Accept, class Compare>
int pick_best(std::span<const ReplicaView> replicas, RandomSequence& random, Accept accept,
              Compare compare) {
  int best = -1;
  std::uint64_t tied_weight = 0;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const ReplicaView& here = replicas[i];
    if (!eligible(here) || !accept(i)) continue;
    const int order = best < 0 ? -1 : compare(here, replicas[static_cast<std::size_t>(best)]);
    if (order > 0) continue;
    tied_weight = order < 0 ? here.weight : tied_weight + here.weight;
    if (order < 0 || random.below(tied_weight) < here.weight) best = static_cast<int>(i);
  }
  return best;
}

inline constexpr auto accept_all = [](std::size_t) { return true; };

inline int pick_least_loaded(std::span<const ReplicaView> replicas, RandomSequence& random) {
  return pick_best(replicas, random, accept_all, compare_load);
}

// One of those that `accept` takes, with a chance in proportion to its weight. -1: none.
template <class Accept>
int pick_random(std::span<const ReplicaView> replicas, RandomSequence& random, Accept accept) {
  const auto all_alike = [](const ReplicaView&, const ReplicaView&) { return 0; };
  return pick_best(replicas, random, accept, all_alike);
}

// Two at random, the less loaded of them (Mitzenmacher, "The Power of Two Choices in Randomized
// Load Balancing", 2001). -1: none.
template <class Accept>
int pick_of_two(std::span<const ReplicaView> replicas, RandomSequence& random, Accept accept) {
  const int first = pick_random(replicas, random, accept);
  if (first < 0) return first;
  const auto other = [&](std::size_t i) { return static_cast<int>(i) != first && accept(i); };
  const int second = pick_random(replicas, random, other);
  if (second < 0) return first;
  const int order = compare_load(replicas[static_cast<std::size_t>(second)],
                                 replicas[static_cast<std::size_t>(first)]);
  return order < 0 ? second : first;
}

}  // namespace deepseek::gateway
