#include "gateway/cache/memory_cache_store.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

namespace deepseek::gateway {
namespace {

CacheKey key_of(std::uint64_t number) {
  return CacheKey{base::sha256(std::to_string(number))};
}

CachedAnswerPtr answer(std::size_t bytes = 100, std::string tenant = "t",
                       std::int64_t created_ms = 0, std::int64_t expires_ms = 1000) {
  auto made = std::make_shared<CachedAnswer>();
  made->tenant = std::move(tenant);
  made->packed.assign(bytes, 'x');
  made->created_ms = created_ms;
  made->expires_ms = expires_ms;
  return made;
}

CachedAnswerPtr get(CacheStore& store, std::uint64_t number, std::int64_t now_ms = 0,
                    std::string_view tenant = "t",
                    std::optional<std::chrono::seconds> max_age = {}) {
  const CacheKey key = key_of(number);
  return store.get({key, tenant, now_ms, max_age});
}

TEST(MemoryCacheStore, GivesWhatWasPut) {
  MemoryCacheStore store({});
  EXPECT_EQ(get(store, 1), nullptr);
  const CachedAnswerPtr first = answer();
  EXPECT_TRUE(store.put(key_of(1), first));
  EXPECT_EQ(get(store, 1), first);
  EXPECT_EQ(get(store, 2), nullptr);
  const CachedAnswerPtr second = answer();
  EXPECT_TRUE(store.put(key_of(1), second));
  EXPECT_EQ(get(store, 1), second);
  EXPECT_EQ(store.figures().entries, 1u);
  EXPECT_EQ(store.figures().bytes, memory_bytes(*second));
  store.erase(key_of(1));
  store.erase(key_of(2));
  EXPECT_EQ(get(store, 1), nullptr);
  EXPECT_EQ(store.figures().bytes, 0u);
  EXPECT_EQ(store.figures().hits, 2u);
  EXPECT_EQ(store.figures().misses, 3u);
}

TEST(MemoryCacheStore, TheSlowTierIsEmpty) {
  MemoryCacheStore store({});
  EXPECT_FALSE(store.has_slow_tier());
  int calls = 0;
  const CacheKey key = key_of(1);
  store.load({key, "t"}, [&](const CachedAnswerPtr& found) {
    EXPECT_EQ(found, nullptr);
    ++calls;
  });
  EXPECT_EQ(calls, 1);
}

TEST(MemoryCacheStore, AnswersExpire) {
  MemoryCacheStore store({});
  store.put(key_of(1), answer(10, "t", 500, 2000));
  EXPECT_NE(get(store, 1, 1999), nullptr);
  EXPECT_NE(get(store, 1, 1500, "t", std::chrono::seconds(1)), nullptr);
  EXPECT_EQ(get(store, 1, 1501, "t", std::chrono::seconds(1)), nullptr) << "too old for this one";
  EXPECT_NE(get(store, 1, 1501), nullptr) << "but not for others";
  EXPECT_EQ(get(store, 1, 2000), nullptr);
  EXPECT_EQ(store.figures().entries, 0u);
  EXPECT_EQ(store.figures().expired, 1u);
}

// Class 6 of the attacks: even a key that came to be equal gives no other tenant's answer.
TEST(MemoryCacheStoreSecurity, Class6AnswersStayWithTheirTenant) {
  MemoryCacheStore store({});
  store.put(key_of(1), answer(10, "a"));
  store.put(key_of(2), answer(10, "a"));
  store.put(key_of(3), answer(10, "b"));
  EXPECT_EQ(get(store, 1, 0, "b"), nullptr);
  EXPECT_EQ(get(store, 1, 0, ""), nullptr);
  EXPECT_NE(get(store, 1, 0, "a"), nullptr);
  store.clear_tenant("a");
  EXPECT_EQ(get(store, 1, 0, "a"), nullptr);
  EXPECT_EQ(get(store, 2, 0, "a"), nullptr);
  EXPECT_NE(get(store, 3, 0, "b"), nullptr);
  EXPECT_EQ(store.figures().entries, 1u);
}

TEST(MemoryCacheStore, IsBoundedByBytesEntriesAndTheSizeOfOne) {
  const std::size_t one = memory_bytes(*answer(1000));
  MemoryCacheStore by_bytes({10 * one, 1000, 2 * one});
  MemoryCacheStore by_entries({1 << 30, 10, 1 << 20});
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(by_bytes.put(key_of(i), answer(1000)));
    EXPECT_TRUE(by_entries.put(key_of(i), answer(1000)));
    EXPECT_LE(by_bytes.figures().bytes, 10 * one);
    EXPECT_LE(by_entries.figures().entries, 10u);
  }
  EXPECT_EQ(by_bytes.figures().entries, 10u);
  EXPECT_EQ(by_bytes.figures().evicted, 90u);
  EXPECT_EQ(by_entries.figures().entries, 10u);

  EXPECT_FALSE(by_bytes.put(key_of(99), answer(3000)));
  EXPECT_EQ(by_bytes.figures().refused, 1u);
  EXPECT_EQ(get(by_bytes, 99), nullptr) << "the older answer of that key is gone as well";
  MemoryCacheStore none({0, 0, 1 << 20});
  EXPECT_FALSE(none.put(key_of(1), answer()));
}

TEST(MemoryCacheStore, ManyShardsOnlyWhereTheyHaveRoom) {
  EXPECT_EQ(MemoryCacheStore({64 << 20, 100'000, 1 << 20}).shard_count(), 16u);
  EXPECT_EQ(MemoryCacheStore({8 << 20, 100'000, 1 << 20}).shard_count(), 2u);
  EXPECT_EQ(MemoryCacheStore({64 << 20, 100, 1 << 20}).shard_count(), 1u);
}

TEST(MemoryCacheStore, WhatIsUsedStays) {
  MemoryCacheStore store({1 << 30, 3, 1 << 20});
  for (std::uint64_t i = 1; i <= 3; ++i) store.put(key_of(i), answer());
  get(store, 1);
  get(store, 3);
  store.put(key_of(4), answer());
  EXPECT_EQ(get(store, 2), nullptr);
  EXPECT_NE(get(store, 1), nullptr);
  EXPECT_NE(get(store, 3), nullptr);
  EXPECT_NE(get(store, 4), nullptr);
  store.erase(key_of(3));  // the hand may stand on what is erased
  for (std::uint64_t i = 5; i < 50; ++i) {
    store.put(key_of(i), answer());
    EXPECT_LE(store.figures().entries, 3u);
  }
}

// Requests whose popularity falls as 1/rank^exponent, against the best that a cache can do which
// knows the popularities and holds the most popular ones.
double share_of_the_best(double exponent, std::size_t keys, std::size_t entries) {
  std::vector<double> sums(keys);
  double sum = 0;
  double best = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    sum += 1 / std::pow(static_cast<double>(i + 1), exponent);
    sums[i] = sum;
    if (i + 1 == entries) best = sum;
  }
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> pick(0, sum);
  MemoryCacheStore store({1 << 30, entries, 1 << 20});
  const CachedAnswerPtr one = answer();
  const auto request = [&] {
    const auto at = std::lower_bound(sums.begin(), sums.end(), pick(random));
    CacheKey key;
    const std::uint64_t number = static_cast<std::uint64_t>(at - sums.begin()) * 0x9e3779b97f4a7c15;
    std::memcpy(key.digest.data(), &number, sizeof number);
    std::memcpy(key.digest.data() + 16, &number, sizeof number);
    const bool hit = store.get({key, "t", 0}) != nullptr;
    if (!hit) store.put(key, one);
    return hit;
  };
  constexpr int warm_up = 60'000;
  constexpr int counted = 60'000;
  for (int i = 0; i < warm_up; ++i) request();
  double hits = 0;
  for (int i = 0; i < counted; ++i) hits += request() ? 1 : 0;
  return hits / counted / (best / sum);
}

TEST(MemoryCacheStore, KeepsWhatIsPopular) {
  const double flat = share_of_the_best(0.8, 10'000, 1'000);
  const double steep = share_of_the_best(1.1, 10'000, 1'000);
  RecordProperty("zipf_0.8_share_of_best", std::to_string(flat));
  RecordProperty("zipf_1.1_share_of_best", std::to_string(steep));
  EXPECT_GT(flat, 0.92);
  EXPECT_GT(steep, 0.96);
}

TEST(MemoryCacheStore, ThreadsShareIt) {
  MemoryCacheStore store({1 << 20, 200, 1 << 12});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 5000; ++i) {
        const CacheKey key = key_of(random() % 400);
        switch (random() % 8) {
          case 0:
            store.erase(key);
            break;
          case 1:
            store.clear_tenant("u");
            break;
          case 2:
          case 3:
            store.put(key, answer(random() % 3000, random() % 2 == 0 ? "t" : "u"));
            break;
          default:
            if (const auto found = store.get({key, "t", 0})) {
              EXPECT_EQ(found->tenant, "t");
            }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(store.figures().entries, 200u);
  EXPECT_LE(store.figures().bytes, 1u << 20);
}

}  // namespace
}  // namespace deepseek::gateway
