// The cache in memory: bounded by bytes, by entries and by the size of one entry.
//
// Any thread. Keys are spread over shards with a lock each, held for a look-up and no longer. Who
// must go is chosen by SIEVE (Zhang and others, NSDI 2024): a hit sets a mark, and a hand walks
// from the oldest entry to the newest, takes marks away and evicts the first entry without one. On
// requests of uneven popularity it keeps more of the popular ones than LRU does, and a hit moves
// nothing in memory.
#pragma once

#include "gateway/cache/cache_store.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace deepseek::gateway {

class MemoryCacheStore : public CacheStore {
 public:
  struct Limits {
    std::size_t bytes_max = 64 << 20;
    std::size_t entries_max = 100'000;
    std::size_t entry_bytes_max = 1 << 20;
  };
  explicit MemoryCacheStore(const Limits& limits);
  ~MemoryCacheStore() override;

  CachedAnswerPtr get(const CacheLookup& lookup) override;
  bool has_slow_tier() const override { return false; }
  void load(const CacheLookup& lookup, Found found) override;
  bool put(const CacheKey& key, CachedAnswerPtr answer) override;
  // As put(), but what is there already stays: for answers from a slower tier. What is there now;
  // null if it is not kept.
  CachedAnswerPtr add(const CacheKey& key, CachedAnswerPtr answer);
  void erase(const CacheKey& key) override;
  void clear_tenant(std::string_view tenant) override;
  CacheFigures figures() const override;

  // Each has an equal part of bytes_max and entries_max, so fewer are made when those are small.
  std::size_t shard_count() const { return shards_.size(); }

 private:
  class Shard;
  Shard& shard_of(const CacheKey& key);

  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace deepseek::gateway
