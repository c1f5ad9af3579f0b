#include "gateway/balance/fleet.hpp"
#include "gateway/balance/prefix_blocks.hpp"
#include "gateway/balance/prefix_map.hpp"
#include "gateway/balance/strategies.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

struct CacheAwareTest : testing::Test {
  std::unique_ptr<Strategy> strategy = make_cache_aware(65'536);
  Fleet fleet{4};

  Choice choose(const std::vector<std::uint64_t>& blocks) {
    ChoiceInput input = fleet.input();
    input.prefix_blocks = blocks;
    return strategy->choose(input);
  }
  static std::string text(char letter, std::size_t blocks) {
    return std::string(blocks * prefix_block_bytes, letter);
  }
};

TEST_F(CacheAwareTest, AConversationStaysWhereItBegan) {
  std::string talk = text('a', 10);
  const int home = choose(prefix_blocks(1, {talk})).index;
  for (int turn = 0; turn < 20; ++turn) {
    talk += text(static_cast<char>('b' + turn), 3);
    fleet.replicas[static_cast<std::size_t>(home)].in_flight = 20;  // busier, but not by 33
    const Choice choice = choose(prefix_blocks(1, {talk}));
    EXPECT_EQ(choice.index, home);
    EXPECT_EQ(choice.reason, "it has most of the prompt in its cache");
  }
}

TEST_F(CacheAwareTest, HalfOfThePromptIsNotEnough) {
  const int home = choose(prefix_blocks(1, {text('a', 10)})).index;
  fleet.replicas[static_cast<std::size_t>(home)].in_flight = 1;
  EXPECT_EQ(choose(prefix_blocks(1, {text('a', 10), text('c', 9)})).index, home);
  EXPECT_NE(choose(prefix_blocks(1, {text('a', 10), text('b', 10)})).index, home);
}

TEST_F(CacheAwareTest, AQueueIsWorseThanAColdCache) {
  const auto blocks = prefix_blocks(1, {text('a', 10)});
  const auto home = static_cast<std::size_t>(choose(blocks).index);
  fleet.replicas[home].in_flight = 33;
  const Choice choice = choose(blocks);
  EXPECT_NE(choice.index, static_cast<int>(home));
  EXPECT_EQ(choice.reason, "least loaded, because the loads are far apart");
  for (ReplicaView& replica : fleet.replicas) replica.in_flight = 1'000;
  fleet.replicas[home].in_flight = 1'050;
  fleet.replicas[static_cast<std::size_t>(choice.index)].usable = false;
  EXPECT_EQ(choose(blocks).index, static_cast<int>(home)) << "5 % of 1,000 is even enough";
}

TEST_F(CacheAwareTest, AHeavyReplicaIsNotOverloadedByItsShare) {
  Fleet unequal({1, 4});
  fleet = unequal;
  fleet.replicas[0].in_flight = 20;
  fleet.replicas[1].in_flight = 80;
  const auto blocks = prefix_blocks(1, {text('a', 10)});
  choose(blocks);
  EXPECT_EQ(choose(blocks).reason, "it has most of the prompt in its cache");
}

TEST_F(CacheAwareTest, AmongSeveralCachesTheLeastLoaded) {
  const auto blocks = prefix_blocks(1, {text('a', 10)});
  const auto first = static_cast<std::size_t>(choose(blocks).index);
  fleet.replicas[first].usable = false;
  const auto second = static_cast<std::size_t>(choose(blocks).index);
  fleet.replicas[first].usable = true;
  fleet.replicas[first].in_flight = 9;
  fleet.replicas[second].in_flight = 8;
  EXPECT_EQ(choose(blocks).index, static_cast<int>(second));
}

TEST_F(CacheAwareTest, TenantsAndModelsAreApart) {
  EXPECT_NE(prefix_seed("m", "a"), prefix_seed("m", "b"));
  EXPECT_NE(prefix_seed("m", "a"), prefix_seed("n", "a"));
  choose(prefix_blocks(prefix_seed("m", "a"), {text('a', 10)}));
  EXPECT_EQ(choose(prefix_blocks(prefix_seed("m", "b"), {text('a', 10)})).reason,
            "least loaded, no cache has most of the prompt");
}

TEST_F(CacheAwareTest, ARestartEmptiesACache) {
  const auto blocks = prefix_blocks(1, {text('a', 10)});
  strategy->forget(static_cast<std::size_t>(choose(blocks).index));
  EXPECT_EQ(choose(blocks).reason, "least loaded, no cache has most of the prompt");
}

// 4 replicas, whose caches hold a quarter of the talks each: nearly every later turn is a hit, and
// the talks are spread.
TEST_F(CacheAwareTest, ManyTalksHitAndSpread) {
  std::vector<std::string> talks;
  for (int i = 0; i < 200; ++i) talks.push_back("talk " + std::to_string(i) + text('x', 8));
  std::vector<int> counts(4);
  int hits = 0;
  for (int turn = 0; turn < 10; ++turn) {
    for (std::string& talk : talks) {
      const Choice choice = choose(prefix_blocks(1, {talk}));
      ++counts[static_cast<std::size_t>(choice.index)];
      hits += choice.reason == "it has most of the prompt in its cache";
      talk += "turn " + std::to_string(turn) + text('y', 2);
    }
  }
  EXPECT_EQ(hits, 200 * 9);
  for (const int count : counts) EXPECT_NEAR(count, 500, 150);
}

TEST(PrefixMap, IsBoundedAndForgetsTheOldest) {
  PrefixMap map(1'024);
  EXPECT_EQ(map.capacity(), 1'024u);
  const auto chain = [](int number) {
    return prefix_blocks(static_cast<std::uint64_t>(number), {std::string(640, 'z')});
  };
  for (int i = 0; i < 2'000; ++i) {
    map.insert(chain(i), 3);
    map.insert(chain(0), 3);  // always in use
  }
  EXPECT_EQ(map.longest(chain(0), ~0ULL).blocks, 10u);
  EXPECT_EQ(map.longest(chain(0), ~0ULL).replicas, 1ULL << 3);
  EXPECT_EQ(map.longest(chain(0), 1).blocks, 0u);
  EXPECT_EQ(map.longest(chain(0), 1).replicas, 0u);
  EXPECT_EQ(map.longest(chain(5), ~0ULL).blocks, 0u);
  int recent = 0;
  for (int i = 1'960; i < 2'000; ++i) recent += map.longest(chain(i), ~0ULL).blocks == 10;
  EXPECT_GT(recent, 36);
}

TEST(PrefixMap, ReplicasBeyondItsBitsAreNotTracked) {
  PrefixMap map(64);
  const std::vector<std::uint64_t> blocks{5, 6};
  map.insert(blocks, 64);
  map.forget(64);
  EXPECT_EQ(map.longest(blocks, ~0ULL).blocks, 0u);
  map.insert(blocks, 63);
  EXPECT_EQ(map.longest(blocks, ~0ULL).replicas, 1ULL << 63);
}

}  // namespace
}  // namespace deepseek::gateway
