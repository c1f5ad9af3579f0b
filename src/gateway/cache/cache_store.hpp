// Where cached answers are kept: memory now, SQLite behind it, later a server for several nodes.
//
// Owned by main(), which outlives every user of it. Any thread may call any function.
#pragma once

#include "gateway/cache/cached_answer.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

struct CacheLookup {
  const CacheKey& key;
  std::string_view tenant;  // an entry of another tenant is no hit, whatever its key
  std::int64_t now_ms = 0;  // since 1970
  std::optional<std::chrono::seconds> max_age{};
};

// True when `answer` may be given to who asks.
bool is_fresh(const CachedAnswer& answer, const CacheLookup& lookup);

struct CacheFigures {
  std::uint64_t hits = 0;       // of get()
  std::uint64_t misses = 0;     // of get()
  std::uint64_t slow_hits = 0;  // of load()
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;  // thrown out for want of room
  std::uint64_t expired = 0;
  std::uint64_t refused = 0;  // larger than one entry may be, or no room in a queue
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

class CacheStore {
 public:
  // Called once, with nothing for a miss; on a thread of the store, so it only posts.
  using Found = std::function<void(CachedAnswerPtr)>;

  virtual ~CacheStore() = default;

  // What memory holds; never waits.
  virtual CachedAnswerPtr get(const CacheLookup& lookup) = 0;
  // True when load() may find what get() did not.
  virtual bool has_slow_tier() const = 0;
  // Asks the slow tier. Copies what it needs of `lookup`. Without a slow tier, or when too many
  // wait, `found` is called before this returns.
  virtual void load(const CacheLookup& lookup, Found found) = 0;

  // False when the answer is too large to be kept. Never waits.
  virtual bool put(const CacheKey& key, CachedAnswerPtr answer) = 0;
  virtual void erase(const CacheKey& key) = 0;
  virtual void clear_tenant(std::string_view tenant) = 0;
  virtual CacheFigures figures() const = 0;
};

}  // namespace deepseek::gateway
