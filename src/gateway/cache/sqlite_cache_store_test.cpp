#include "gateway/cache/sqlite_cache_store.hpp"

#include "gateway/cache/packed_bytes.hpp"
#include "storage/test_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <array>
#include <fstream>
#include <future>

namespace deepseek::gateway {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto patience = 30s;

CacheKey key_of(int number) {
  return CacheKey{base::sha256(std::to_string(number))};
}

CachedAnswerPtr answer(std::string_view bytes, std::string tenant = "t",
                       std::int64_t expires_ms = 4'000'000'000'000) {
  auto made = std::make_shared<CachedAnswer>();
  made->tenant = std::move(tenant);
  made->model = "model";
  made->form = AnswerForm::stream;
  made->usage = {10, 5, 4, 2};
  made->created_ms = 1000;
  made->expires_ms = expires_ms;
  PiecePacker().add(bytes, made->packed);
  made->raw_bytes = bytes.size();
  if (const auto mark = find_usage_mark(bytes)) made->usage_mark = *mark;
  return made;
}

struct SqliteCacheStoreTest : testing::Test {
  SqliteCacheStoreTest() { options.database.file = folder.path() / "cache.sqlite"; }

  std::unique_ptr<SqliteCacheStore> open() {
    auto store = SqliteCacheStore::open(options, {});
    if (!store) throw std::runtime_error(store.error().message);
    return std::move(*store);
  }
  CacheRepository repository() {
    auto made = CacheRepository::open(options.database, options.file);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }
  static CachedAnswerPtr get(CacheStore& store, int number, std::string_view tenant = "t") {
    const CacheKey key = key_of(number);
    return store.get({key, tenant, 2000});
  }
  static CachedAnswerPtr load(CacheStore& store, int number, std::string_view tenant = "t",
                              std::int64_t now_ms = 2000) {
    const CacheKey key = key_of(number);
    std::promise<CachedAnswerPtr> promise;
    store.load({key, tenant, now_ms}, [&](CachedAnswerPtr found) { promise.set_value(found); });
    auto future = promise.get_future();
    EXPECT_EQ(future.wait_for(patience), std::future_status::ready);
    return future.get();
  }

  storage::TestFolder folder;
  SqliteCacheStore::Options options;
};

TEST_F(SqliteCacheStoreTest, AnswersOutliveTheProcess) {
  {
    const auto store = open();
    EXPECT_TRUE(store->has_slow_tier());
    EXPECT_TRUE(store->put(key_of(1), answer(R"({"usage":{"a":1}})")));
    EXPECT_NE(get(*store, 1), nullptr);
  }
  const auto store = open();
  EXPECT_EQ(get(*store, 1), nullptr) << "memory is empty";
  EXPECT_EQ(load(*store, 2), nullptr);
  const CachedAnswerPtr found = load(*store, 1);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(replay(*found), R"({"usage":{"cached_answer":true,"a":1}})");
  EXPECT_EQ(found->tenant, "t");
  EXPECT_EQ(found->model, "model");
  EXPECT_EQ(found->form, AnswerForm::stream);
  EXPECT_EQ(found->usage, (protocol::Usage{10, 5, 4, 2}));
  EXPECT_EQ(found->created_ms, 1000);
  EXPECT_EQ(found->expires_ms, 4'000'000'000'000);
  EXPECT_EQ(get(*store, 1), found) << "it is in memory now";
  EXPECT_EQ(store->figures().slow_hits, 1u);
  EXPECT_EQ(store->failures(), 0u);
}

// Class 6 of the attacks.
TEST_F(SqliteCacheStoreTest, Class6TenantsAndAgesCountInTheFileToo) {
  constexpr std::int64_t expires_ms = 4'000'000'000'000;
  open()->put(key_of(1), answer("one", "a", expires_ms));
  const auto store = open();
  EXPECT_EQ(load(*store, 1, "b"), nullptr);
  EXPECT_EQ(load(*store, 1, "a", expires_ms), nullptr);
  EXPECT_NE(load(*store, 1, "a", expires_ms - 1), nullptr);
}

TEST_F(SqliteCacheStoreTest, ErasedAnswersAreGoneFromBoth) {
  const auto store = open();
  store->put(key_of(1), answer("one", "a"));
  store->put(key_of(2), answer("two", "a"));
  store->put(key_of(3), answer("three", "b"));
  store->erase(key_of(1));
  EXPECT_EQ(get(*store, 1, "a"), nullptr);
  EXPECT_EQ(load(*store, 1, "a"), nullptr);
  store->clear_tenant("a");
  EXPECT_EQ(get(*store, 2, "a"), nullptr);
  EXPECT_EQ(load(*store, 2, "a"), nullptr);
  EXPECT_NE(get(*store, 3, "b"), nullptr);
  EXPECT_TRUE(store->flush(patience));
  EXPECT_EQ(repository().size()->entries, 1);
}

TEST_F(SqliteCacheStoreTest, WhatIsClearedIsNotLeftInTheFile) {
  const std::string secret = "a very private answer";
  const auto store = open();
  store->put(key_of(1), answer(secret, "a"));
  EXPECT_TRUE(store->flush(patience));
  store->clear_tenant("a");
  EXPECT_TRUE(store->flush(patience));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path();
  }
}

TEST_F(SqliteCacheStoreTest, ANewAnswerReplacesTheOldOne) {
  {
    const auto store = open();
    store->put(key_of(1), answer("old"));
    store->put(key_of(1), answer("new"));
  }
  const auto store = open();
  EXPECT_EQ(replay(*load(*store, 1)), "new");
  EXPECT_EQ(repository().size()->entries, 1);
}

TEST_F(SqliteCacheStoreTest, TheFileIsBoundedByEntriesAndBytes) {
  options.file.entries_max = 10;
  {
    auto file = repository();
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(file.put(key_of(i), *answer("text")));
      EXPECT_LE(file.size()->entries, 10);
    }
    EXPECT_FALSE(*file.find(key_of(39)));
    EXPECT_TRUE(*file.find(key_of(40)));
  }
  options.file = {20'000, 1000, 1 << 20};
  auto file = repository();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(file.put(key_of(i), *answer(std::string(3000, 'x'))));
    EXPECT_LE(file.size()->bytes, 20'000);
  }
  EXPECT_EQ(file.size()->entries, 6);
  ASSERT_TRUE(file.put(key_of(49), *answer(std::string(30'000, 'x'))));
  EXPECT_EQ(file.size()->entries, 5) << "too large for all of it, and the older one is gone";
}

TEST_F(SqliteCacheStoreTest, ExpiredRowsAreRemoved) {
  auto file = repository();
  ASSERT_TRUE(file.put(key_of(1), *answer("one", "t", 100)));
  ASSERT_TRUE(file.put(key_of(2), *answer("two", "t", 300)));
  ASSERT_TRUE(file.put(key_of(3), *answer("three", "t", 100)));
  EXPECT_EQ(*file.remove_expired(99, 10), 0);
  EXPECT_EQ(*file.remove_expired(100, 2), 1);
  EXPECT_EQ(*file.remove_expired(100, 10), 1);
  EXPECT_EQ(file.size()->entries, 1);
  EXPECT_TRUE(*file.find(key_of(2)));
}

TEST_F(SqliteCacheStoreTest, RowsThatCannotBeReplayedAreMisses) {
  auto file = repository();
  const std::array<const char*, 5> damages{
      "UPDATE cache_answers SET packed = x'00'", "UPDATE cache_answers SET form = 9",
      "UPDATE cache_answers SET raw_bytes = 1000000000000",
      "UPDATE cache_answers SET raw_bytes = -1", "UPDATE cache_answers SET raw_bytes = 1"};
  for (const char* const damage : damages) {
    ASSERT_TRUE(file.put(key_of(1), *answer("one")));
    ASSERT_TRUE(*file.find(key_of(1)));
    ASSERT_TRUE(file.database().execute(damage));
    const auto found = file.find(key_of(1));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(*found) << damage;
    EXPECT_EQ(file.size()->entries, 0) << damage;
  }
}

TEST_F(SqliteCacheStoreTest, WhenTheFileFailsMemoryServes) {
  options.database.busy_timeout = 1ms;
  const auto store = open();
  auto other = storage::Database::open(options.database);
  ASSERT_TRUE(other);
  {
    const auto held = storage::Transaction::begin(*other);
    ASSERT_TRUE(held);
    EXPECT_TRUE(store->put(key_of(1), answer("one")));
    EXPECT_TRUE(store->flush(patience));
    EXPECT_GE(store->failures(), 1u);
    EXPECT_NE(get(*store, 1), nullptr);
    EXPECT_EQ(load(*store, 2), nullptr);
  }
  EXPECT_TRUE(store->put(key_of(2), answer("two")));
  EXPECT_TRUE(store->flush(patience));
  EXPECT_TRUE(*repository().find(key_of(2)));
}

TEST_F(SqliteCacheStoreTest, AFullQueueRefusesAndNeverWaits) {
  options.queue_max = 4;
  options.database.busy_timeout = 10s;  // the worker waits while the file is held
  const auto store = open();
  auto other = storage::Database::open(options.database);
  ASSERT_TRUE(other);
  auto held = storage::Transaction::begin(*other);
  ASSERT_TRUE(held);
  // Until the worker holds some of them, and then until the queue is full behind it.
  std::uint64_t puts = 0;
  const auto refused = [&] { return store->figures().refused; };
  const auto put = [&] { EXPECT_TRUE(store->put(key_of(static_cast<int>(puts++)), answer("x"))); };
  while (puts - refused() <= options.queue_max) put();
  for (const std::uint64_t before = refused(); refused() == before;) put();
  int calls = 0;
  const CacheKey key = key_of(99);
  store->load({key, "t", 0}, [&](const CachedAnswerPtr& found) {
    EXPECT_EQ(found, nullptr);
    ++calls;
  });
  EXPECT_EQ(calls, 1) << "at once";
  store->clear_tenant("t");
  EXPECT_EQ(get(*store, static_cast<int>(puts) - 1), nullptr);
  ASSERT_TRUE(held->commit());
  EXPECT_TRUE(store->flush(patience));
  EXPECT_EQ(repository().size()->entries, 0) << "an erasure is never refused";
}

TEST_F(SqliteCacheStoreTest, AForeignFileIsAnErrorOfTheStart) {
  std::ofstream(options.database.file) << std::string(5000, 'x');
  const auto store = SqliteCacheStore::open(options, {});
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr("cache.sqlite"));
}

}  // namespace
}  // namespace deepseek::gateway
