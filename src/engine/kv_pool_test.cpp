#include "engine/kv_pool.hpp"

#include <gtest/gtest.h>
#include <numeric>

namespace deepseek::engine {
namespace {

std::vector<Token> row(Token first, std::int32_t count) {
  std::vector<Token> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// A slot that has computed these tokens and rests.
std::int32_t put(KvPool& pool, const std::vector<Token>& tokens) {
  const std::int32_t slot = pool.take("k", tokens);
  pool.extend(slot, std::span(tokens).subspan(static_cast<std::size_t>(pool.length(slot))));
  pool.rest(slot, false);
  return slot;
}

TEST(KvPool, GoesOnInTheSlotThatRests) {
  KvPool pool({4, 1000, 1000});
  const std::int32_t slot = put(pool, row(0, 100));
  pool.take_changes();
  EXPECT_EQ(pool.take("k", row(0, 150)), slot);
  EXPECT_EQ(pool.length(slot), 100);
  EXPECT_TRUE(pool.take_changes().empty());
}

TEST(KvPool, NeverCountsTheLastToken) {
  KvPool pool({4, 1000, 1000});
  put(pool, row(0, 100));
  EXPECT_EQ(pool.find("k", row(0, 100)).length, 99);
}

TEST(KvPool, EvictsTheLongestUnusedFromItsEnd) {
  KvPool pool({4, 1000, 1000});
  const std::int32_t old = put(pool, row(0, 400));
  put(pool, row(1000, 400));
  EXPECT_TRUE(pool.make_room(300));
  EXPECT_EQ(pool.unused(), 300);
  EXPECT_EQ(pool.take_changes().back(), (CacheChange{CacheChange::Kind::keep, old, -1, 300}));
  EXPECT_EQ(pool.find("k", row(0, 400)).length, 300);
  EXPECT_EQ(pool.find("k", row(1000, 400)).length, 399);
  EXPECT_FALSE(pool.make_room(1001));
}

TEST(KvPool, KeepsNoMoreAtRestThanItMay) {
  KvPool pool({4, 1000, 500});
  put(pool, row(0, 400));
  put(pool, row(1000, 400));
  EXPECT_EQ(pool.used(), 500);
  EXPECT_EQ(pool.find("k", row(1000, 400)).length, 399);
}

TEST(KvPool, AFullHouseTakesTheOldestSlot) {
  KvPool pool({2, 1000, 1000});
  put(pool, row(0, 10));
  put(pool, row(100, 10));
  EXPECT_TRUE(pool.has_slot());
  const std::int32_t slot = pool.take("k", row(200, 10));
  EXPECT_EQ(pool.length(slot), 0);
  EXPECT_EQ(pool.find("k", row(0, 10)).length, 0);
  EXPECT_EQ(pool.find("k", row(100, 10)).length, 9);
}

TEST(KvPool, TheOldestSlotMayBeTheOneThatIsWanted) {
  KvPool pool({1, 1000, 1000});
  const std::int32_t slot = put(pool, row(0, 10));
  pool.take_changes();
  std::vector<Token> other = row(0, 10);
  other[5] = 77;
  EXPECT_EQ(pool.take("k", other), slot);
  EXPECT_EQ(pool.length(slot), 5);
  EXPECT_EQ(pool.take_changes().at(0), (CacheChange{CacheChange::Kind::keep, slot, -1, 5}));
}

TEST(KvPool, WhatIsGivenUpIsSavedBefore) {
  KvPoolOptions options{2, 1000, 1000};
  options.saved_min = 100;
  KvPool pool(options);
  const std::int32_t old = put(pool, row(0, 400));
  put(pool, row(1000, 50));  // too short to be worth it
  pool.take_changes();
  pool.take("k", row(5000, 10));
  const std::vector<CacheChange> changes = pool.take_changes();
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].kind, CacheChange::Kind::save);
  EXPECT_EQ(changes[0].slot, old);
  EXPECT_EQ(changes[0].key, "k");
  EXPECT_EQ(changes[0].tokens, row(0, 400));
  EXPECT_EQ(changes[1], (CacheChange{CacheChange::Kind::keep, old, -1, 0}));
}

TEST(KvPool, IdleSavesEachSlotOnceAndAgainWhenItHasGrown) {
  KvPoolOptions options{4, 1000, 1000};
  options.saved_min = 100;
  KvPool pool(options);
  put(pool, row(0, 200));
  EXPECT_TRUE(pool.save_one());
  EXPECT_FALSE(pool.save_one());
  put(pool, row(0, 250));
  EXPECT_FALSE(pool.save_one());
  put(pool, row(0, 350));
  EXPECT_TRUE(pool.save_one());
  EXPECT_FALSE(pool.save_one());
}

TEST(KvPool, TheDisturbedGoFirst) {
  KvPool pool({4, 1000, 1000});
  put(pool, row(0, 400));
  const std::int32_t slot = pool.take("k", row(1000, 400));
  pool.extend(slot, row(1000, 400));
  pool.rest(slot, true);
  EXPECT_TRUE(pool.make_room(400));
  EXPECT_EQ(pool.find("k", row(0, 400)).length, 399);
}

}  // namespace
}  // namespace deepseek::engine
