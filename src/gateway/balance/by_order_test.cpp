#include "gateway/balance/fleet.hpp"
#include "gateway/balance/strategies.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <cstdlib>

namespace deepseek::gateway {
namespace {

TEST(Priority, TakesTheFirstUsable) {
  const auto strategy = make_priority();
  Fleet fleet(3);
  EXPECT_EQ(strategy->choose(fleet.input()).reason, "first by priority");
  fleet.replicas[0].usable = false;
  EXPECT_EQ(strategy->choose(fleet.input()).index, 1);
  EXPECT_EQ(strategy->choose(fleet.input()).reason, "first usable by priority");
}

TEST(WeightedRoundRobin, IsSmooth) {
  Fleet fleet({5, 1, 1});
  EXPECT_EQ(fleet.sequence(*make_weighted_round_robin(3), 14), "aabacaaaabacaa");
  Fleet equal({2, 2, 2});
  EXPECT_EQ(equal.sequence(*make_weighted_round_robin(3), 9), "abcabcabc");
}

TEST(WeightedRoundRobin, EveryRoundHasTheExactShares) {
  Fleet fleet({7, 3, 2, 1});
  const auto strategy = make_weighted_round_robin(4);
  for (int round = 0; round < 50; ++round) {
    EXPECT_EQ(fleet.counts(*strategy, 13), (std::vector<int>{7, 3, 2, 1})) << round;
  }
}

TEST(WeightedRoundRobin, NoBurstWhenOneReturns) {
  Fleet fleet({1, 1, 1, 1});
  const auto strategy = make_weighted_round_robin(4);
  for (int lead = 0; lead < 8; ++lead) {
    fleet.sequence(*strategy, lead);
    fleet.replicas[1].usable = false;
    for (const int count : fleet.counts(*strategy, 3'000)) {
      EXPECT_TRUE(count == 0 || std::abs(count - 1'000) <= 1) << count;
    }
    fleet.replicas[1].usable = true;
    const auto counts = fleet.counts(*strategy, 8);
    EXPECT_NEAR(counts[1], 2, 1);
    EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 3);
  }
}

// A retry excludes who was tried: that must not distort the shares of the others.
TEST(WeightedRoundRobin, SharesHoldWhileReplicasComeAndGo) {
  Fleet fleet({4, 2, 2});
  const auto strategy = make_weighted_round_robin(3);
  std::vector<double> counts(3), fair(3);
  for (int i = 0; i < 30'000; ++i) {
    const std::size_t away = fleet.random.below(6);  // half of the time nobody
    double total = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      fleet.replicas[r].usable = r != away;
      if (r != away) total += fleet.replicas[r].weight;
    }
    for (std::size_t r = 0; r < 3; ++r) {
      if (r != away) fair[r] += fleet.replicas[r].weight / total;
    }
    ++counts[static_cast<std::size_t>(fleet.choose(*strategy))];
  }
  for (std::size_t r = 0; r < 3; ++r) EXPECT_NEAR(counts[r], fair[r], 2) << r;
}

TEST(WeightedRoundRobin, AChangedWeightTakesEffectAtOnce) {
  Fleet fleet({1, 1});
  const auto strategy = make_weighted_round_robin(2);
  fleet.counts(*strategy, 101);
  fleet.replicas[0].weight = 3;
  const auto counts = fleet.counts(*strategy, 40);
  EXPECT_NEAR(counts[0], 30, 1);
}

}  // namespace
}  // namespace deepseek::gateway
