// For the tests of strategies: replicas, choices by number, and how they spread.
#pragma once

#include "gateway/balance/strategy.hpp"
#include "gateway/resilience/random.hpp"

#include <string>
#include <vector>

namespace deepseek::gateway {

struct Fleet {
  std::vector<ReplicaView> replicas;
  RandomSequence random{1};

  explicit Fleet(std::vector<std::uint32_t> weights) {
    for (const std::uint32_t weight : weights) {
      replicas.emplace_back();
      replicas.back().weight = weight;
    }
  }
  explicit Fleet(std::size_t count) : replicas(count) {}

  ChoiceInput input(std::uint64_t hash_key = 0) {
    ChoiceInput out;
    out.replicas = replicas;
    out.random = random.next();
    out.hash_key = hash_key;
    return out;
  }
  int choose(Strategy& strategy, std::uint64_t hash_key = 0) {
    return strategy.choose(input(hash_key)).index;
  }
  // "aabac": who was chosen, in order.
  std::string sequence(Strategy& strategy, int choices) {
    std::string out;
    for (int i = 0; i < choices; ++i) out += static_cast<char>('a' + choose(strategy));
    return out;
  }
  // How often each was chosen.
  std::vector<int> counts(Strategy& strategy, int choices) {
    std::vector<int> out(replicas.size());
    for (int i = 0; i < choices; ++i) ++out[static_cast<std::size_t>(choose(strategy))];
    return out;
  }
};

}  // namespace deepseek::gateway
