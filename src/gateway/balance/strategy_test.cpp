// What holds for every strategy. Each one's own manners are tested beside its file.
#include "gateway/balance/strategy.hpp"

#include "gateway/balance/fleet.hpp"
#include "gateway/balance/stable_hash.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <set>

namespace deepseek::gateway {
namespace {

struct EveryStrategy : testing::TestWithParam<StrategyKind> {
  std::vector<std::uint64_t> ids{stable_hash("a"), stable_hash("b"), stable_hash("c"),
                                 stable_hash("d")};
  std::unique_ptr<Strategy> strategy = make_strategy(GetParam(), ids);
};

TEST_P(EveryStrategy, SaysSoWhenNoneIsUsable) {
  Fleet fleet(4);
  for (ReplicaView& replica : fleet.replicas) replica.usable = false;
  const Choice choice = strategy->choose(fleet.input());
  EXPECT_EQ(choice.index, -1);
  EXPECT_EQ(choice.reason, "no backend is usable");
  EXPECT_EQ(strategy->choose({}).index, -1) << "no replica at all";
}

TEST_P(EveryStrategy, TakesTheOnlyUsableOne) {
  Fleet fleet(4);
  for (ReplicaView& replica : fleet.replicas) replica.usable = false;
  fleet.replicas[2].usable = true;
  fleet.replicas[2].in_flight = 1'000;
  fleet.replicas[2].price = 1'000;
  fleet.replicas[1].usable = true;
  fleet.replicas[1].weight = 0;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(fleet.choose(*strategy), 2);
}

TEST_P(EveryStrategy, IsDeterminedByTheSeed) {
  const auto other = make_strategy(GetParam(), ids);
  RandomSequence random(42);
  std::vector<ReplicaView> replicas(4);
  std::vector<std::uint64_t> blocks(8);
  for (int i = 0; i < 2'000; ++i) {
    for (ReplicaView& replica : replicas) {
      replica = {.weight = static_cast<std::uint32_t>(random.below(5)),
                 .usable = random.below(3) > 0,
                 .in_flight = static_cast<std::uint32_t>(random.below(50)),
                 .work_tokens = static_cast<double>(random.below(1'000)),
                 .tokens_per_second = static_cast<double>(random.below(100)),
                 .price = static_cast<double>(random.below(3)),
                 .first_token_ms = static_cast<double>(random.below(500))};
    }
    for (std::uint64_t& block : blocks) block = 1 + random.below(4);
    const ChoiceInput input{replicas, random.next(), random.next(), blocks, 100};
    const Choice choice = strategy->choose(input);
    ASSERT_EQ(choice.index, other->choose(input).index);
    const bool some = std::any_of(replicas.begin(), replicas.end(), [](const auto& replica) {
      return replica.usable && replica.weight > 0;
    });
    ASSERT_EQ(choice.index >= 0, some);
    if (!some) continue;
    const ReplicaView& chosen = replicas[static_cast<std::size_t>(choice.index)];
    ASSERT_TRUE(chosen.usable && chosen.weight > 0);
    ASSERT_FALSE(choice.reason.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryStrategy,
                         testing::Values(StrategyKind::priority, StrategyKind::weighted_round_robin,
                                         StrategyKind::least_in_flight, StrategyKind::power_of_two,
                                         StrategyKind::least_work, StrategyKind::cheapest,
                                         StrategyKind::fastest, StrategyKind::consistent_hash,
                                         StrategyKind::cache_aware),
                         [](const auto& name) { return std::string(to_string(name.param)); });

TEST(StrategyNames, AreThoseOfTheEnumerators) {
  EXPECT_EQ(to_string(StrategyKind::priority), "priority");
  EXPECT_EQ(to_string(StrategyKind::power_of_two), "power_of_two");
  EXPECT_EQ(to_string(StrategyKind::cache_aware), "cache_aware");
}

}  // namespace
}  // namespace deepseek::gateway
