// Strategies that go by the order and the weights of the list: priority, weighted round robin.
#include "gateway/balance/picking.hpp"
#include "gateway/balance/strategies.hpp"

#include <algorithm>
#include <vector>

namespace deepseek::gateway {
namespace {

class Priority final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    for (std::size_t i = 0; i < input.replicas.size(); ++i) {
      if (!eligible(input.replicas[i])) continue;
      return {static_cast<int>(i), i == 0 ? "first by priority" : "first usable by priority"};
    }
    return none_usable;
  }
};

// Smooth weighted round robin, the algorithm of nginx: at each turn everyone gains its weight, the
// richest is chosen and pays the sum of all weights. Weights 5, 1, 1 give a a b a c a a rather than
// a a a a a b c.
//
// Balances are counted in requests, not in weights: at each turn the gains sum to one request. So
// the shares stay exact when replicas come and go at every turn, as they do when a retry excludes
// who was tried. Who is not usable neither gains nor pays, and therefore gets its share at once
// when it returns, but no burst to make up for what it missed.
class WeightedRoundRobin final : public Strategy {
 public:
  explicit WeightedRoundRobin(std::size_t replica_count) : balances_(replica_count) {}

  Choice choose(const ChoiceInput& input) override {
    const std::size_t count = std::min(input.replicas.size(), balances_.size());
    std::int64_t weights = 0;
    for (const ReplicaView& replica : input.replicas.first(count)) {
      if (eligible(replica)) weights += replica.weight;
    }
    if (weights == 0) return none_usable;
    // Rounded per unit of weight and not per replica: ties stay ties.
    const std::int64_t unit = one_request / weights;
    std::size_t best = count;
    for (std::size_t i = 0; i < count; ++i) {
      if (!eligible(input.replicas[i])) continue;
      balances_[i] += unit * input.replicas[i].weight;
      if (best == count || balances_[i] > balances_[best]) best = i;
    }
    balances_[best] -= unit * weights;
    return {static_cast<int>(best), "its turn in weighted round robin"};
  }

 private:
  static constexpr std::int64_t one_request = std::int64_t{1} << 48;
  std::vector<std::int64_t> balances_;
};

}  // namespace

std::unique_ptr<Strategy> make_priority() {
  return std::make_unique<Priority>();
}

std::unique_ptr<Strategy> make_weighted_round_robin(std::size_t replica_count) {
  return std::make_unique<WeightedRoundRobin>(replica_count);
}

}  // namespace deepseek::gateway
