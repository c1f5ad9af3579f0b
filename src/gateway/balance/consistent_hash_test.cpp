#include "gateway/balance/fleet.hpp"
#include "gateway/balance/stable_hash.hpp"
#include "gateway/balance/strategies.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace deepseek::gateway {
namespace {

constexpr int keys = 20'000;

std::vector<std::uint64_t> ids(std::initializer_list<const char*> names) {
  std::vector<std::uint64_t> out;
  for (const char* name : names) out.push_back(stable_hash(name));
  return out;
}

std::vector<int> homes(Strategy& strategy, Fleet& fleet) {
  std::vector<int> out;
  for (int i = 0; i < keys; ++i) {
    out.push_back(fleet.choose(strategy, stable_hash("user-" + std::to_string(i))));
  }
  return out;
}

TEST(StableHash, NeverChanges) {
  // Other gateways, older ones too, must come to the same numbers.
  EXPECT_EQ(stable_hash(""), 0xA0571E8AE69DEBF0ULL);
  EXPECT_EQ(stable_hash("deepseek"), 0x45211641C37AB5A3ULL);
  EXPECT_EQ(stable_hash("the quick brown fox jumps over the lazy dog", 7), 0x20BCDAF520F726FBULL);
}

TEST(StableHash, EveryBitMattersAtEveryLength) {
  for (std::size_t length = 1; length <= 80; ++length) {
    std::string text(length, 'x');
    const std::uint64_t before = stable_hash(text);
    EXPECT_NE(before, stable_hash(text, 1));
    for (std::size_t i = 0; i < length; ++i) {
      text[i] = 'y';
      const int flipped = std::popcount(before ^ stable_hash(text));
      ASSERT_GT(flipped, 10) << length << " " << i;
      ASSERT_LT(flipped, 54) << length << " " << i;
      text[i] = 'x';
    }
  }
}

TEST(ConsistentHash, SharesFollowTheWeights) {
  const auto strategy = make_consistent_hash(ids({"a", "b", "c"}));
  Fleet fleet({1, 2, 5});
  std::vector<int> counts(3);
  for (const int home : homes(*strategy, fleet)) ++counts[static_cast<std::size_t>(home)];
  EXPECT_NEAR(counts[0], keys / 8, keys / 100);
  EXPECT_NEAR(counts[1], keys / 4, keys / 100);
  EXPECT_NEAR(counts[2], keys * 5 / 8, keys / 100);
}

TEST(ConsistentHash, WhoLeavesMovesOnlyItsOwnKeys) {
  const auto strategy = make_consistent_hash(ids({"a", "b", "c", "d", "e"}));
  Fleet fleet(5);
  const auto before = homes(*strategy, fleet);
  fleet.replicas[2].usable = false;
  const auto after = homes(*strategy, fleet);
  int moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != after[i]) {
      ++moved;
      ASSERT_EQ(before[i], 2);
    }
  }
  EXPECT_NEAR(moved, keys / 5, keys / 50);
  fleet.replicas[2].usable = true;
  EXPECT_EQ(homes(*strategy, fleet), before) << "and they return";
}

TEST(ConsistentHash, TheListsOrderDoesNotMatter) {
  const auto one = make_consistent_hash(ids({"a", "b", "c"}));
  const auto two = make_consistent_hash(ids({"c", "new", "a", "b"}));
  Fleet three(3), four(4);
  const auto before = homes(*one, three), after = homes(*two, four);
  int moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const int same = std::array{2, 3, 0}[static_cast<std::size_t>(before[i])];
    if (after[i] == same) continue;
    ++moved;
    ASSERT_EQ(after[i], 1) << "moves go to the new one only";
  }
  EXPECT_NEAR(moved, keys / 4, keys / 50);
}

TEST(ConsistentHash, AWeightChangeMovesTheDifference) {
  const auto strategy = make_consistent_hash(ids({"a", "b", "c", "d"}));
  Fleet fleet({10, 10, 10, 10});
  const auto before = homes(*strategy, fleet);
  fleet.replicas[0].weight = 12;
  const auto after = homes(*strategy, fleet);
  int moved = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    ++moved;
    ASSERT_EQ(after[i], 0);
  }
  EXPECT_NEAR(moved, keys * (12.0 / 42 - 0.25), keys / 100);
}

TEST(ConsistentHash, TheBoundHoldsEvenForOneKey) {
  const auto strategy = make_consistent_hash(ids({"a", "b", "c", "d"}));
  Fleet fleet({1, 1, 2, 4});
  double total = 0;
  bool spilled = false;
  for (int i = 0; i < 2'000; ++i) {
    const Choice choice = strategy->choose(fleet.input(4711));
    ASSERT_GE(choice.index, 0);
    spilled = spilled || choice.reason == "next by hash, because the first has its share";
    ++fleet.replicas[static_cast<std::size_t>(choice.index)].in_flight;
    ++total;
    for (const ReplicaView& replica : fleet.replicas) {
      ASSERT_LE(replica.in_flight, std::ceil(1.25 * total * replica.weight / 8));
    }
  }
  EXPECT_TRUE(spilled);
}

}  // namespace
}  // namespace deepseek::gateway
