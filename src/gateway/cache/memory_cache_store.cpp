#include "gateway/cache/memory_cache_store.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace deepseek::gateway {
namespace {

constexpr std::size_t shards_max = 16;
// So many of the largest entries fit into one shard, or the store has fewer shards.
constexpr std::size_t large_entries_min = 4;
constexpr std::size_t entries_of_shard_min = 64;

std::size_t shards_for(const MemoryCacheStore::Limits& limits) {
  std::size_t shards = shards_max;
  while (shards > 1 && (limits.bytes_max / shards < large_entries_min * limits.entry_bytes_max ||
                        limits.entries_max / shards < entries_of_shard_min)) {
    shards /= 2;
  }
  return shards;
}

}  // namespace

bool is_fresh(const CachedAnswer& answer, const CacheLookup& lookup) {
  if (answer.tenant != lookup.tenant || lookup.now_ms >= answer.expires_ms) return false;
  if (!lookup.max_age) return true;
  return lookup.now_ms - answer.created_ms <= std::chrono::milliseconds(*lookup.max_age).count();
}

class MemoryCacheStore::Shard {
 public:
  Shard(const Limits& limits, std::size_t shards)
      : bytes_max_(limits.bytes_max / shards),
        entries_max_(limits.entries_max / shards),
        entry_bytes_max_(limits.entry_bytes_max) {}

  CachedAnswerPtr get(const CacheLookup& lookup) {
    CachedAnswerPtr dropped;  // freed after the lock is
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(lookup.key);
    if (found == entries_.end()) {
      ++figures_.misses;
      return nullptr;
    }
    Entry& entry = found->second;
    if (is_fresh(*entry.answer, lookup)) {
      ++figures_.hits;
      entry.used = true;
      return entry.answer;
    }
    ++figures_.misses;
    if (lookup.now_ms >= entry.answer->expires_ms) {
      ++figures_.expired;
      dropped = remove(found);
    }
    return nullptr;
  }

  // What the key has afterwards.
  CachedAnswerPtr put(const CacheKey& key, CachedAnswerPtr answer, bool replace) {
    const std::size_t bytes = memory_bytes(*answer);
    std::vector<CachedAnswerPtr> dropped;
    const std::lock_guard lock(mutex_);
    if (!replace) {
      if (const auto found = entries_.find(key); found != entries_.end()) {
        return found->second.answer;
      }
    }
    // Whether the new one fits or not, the old one no longer is what a client was told last.
    if (const auto old = entries_.find(key); old != entries_.end()) {
      dropped.push_back(remove(old));
    }
    if (bytes > std::min(bytes_max_, entry_bytes_max_) || entries_max_ == 0) {
      ++figures_.refused;
      return nullptr;
    }
    while (entries_.size() >= entries_max_ || bytes_ + bytes > bytes_max_) {
      dropped.push_back(evict());
    }
    const auto [at, inserted] = entries_.try_emplace(key);
    Entry& entry = at->second;
    entry.key = &at->first;
    entry.answer = std::move(answer);
    entry.bytes = bytes;
    push_newest(entry);
    bytes_ += bytes;
    ++figures_.stored;
    return entry.answer;
  }

  void erase(const CacheKey& key) {
    CachedAnswerPtr dropped;
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(key); found != entries_.end()) dropped = remove(found);
  }

  void clear_tenant(std::string_view tenant) {
    std::vector<CachedAnswerPtr> dropped;
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
      const auto next = std::next(at);
      if (at->second.answer->tenant == tenant) dropped.push_back(remove(at));
      at = next;
    }
  }

  void add_to(CacheFigures& sum) const {
    const std::lock_guard lock(mutex_);
    sum.hits += figures_.hits;
    sum.misses += figures_.misses;
    sum.stored += figures_.stored;
    sum.evicted += figures_.evicted;
    sum.expired += figures_.expired;
    sum.refused += figures_.refused;
    sum.entries += entries_.size();
    sum.bytes += bytes_;
  }

 private:
  struct Entry {
    const CacheKey* key = nullptr;
    CachedAnswerPtr answer;
    Entry* newer = nullptr;
    Entry* older = nullptr;
    std::size_t bytes = 0;
    bool used = false;
  };
  using Entries = std::unordered_map<CacheKey, Entry, CacheKeyHash>;

  void push_newest(Entry& entry) {
    entry.older = newest_;
    if (newest_ != nullptr) newest_->newer = &entry;
    newest_ = &entry;
    if (oldest_ == nullptr) oldest_ = &entry;
  }

  CachedAnswerPtr remove(Entries::iterator at) {
    Entry& entry = at->second;
    if (hand_ == &entry) hand_ = entry.newer;
    (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
    bytes_ -= entry.bytes;
    CachedAnswerPtr answer = std::move(entry.answer);
    entries_.erase(at);
    return answer;
  }

  // There is at least one entry. Ends within two rounds, since the first takes every mark away.
  CachedAnswerPtr evict() {
    Entry* entry = hand_ != nullptr ? hand_ : oldest_;
    while (std::exchange(entry->used, false)) {
      entry = entry->newer != nullptr ? entry->newer : oldest_;
    }
    hand_ = entry;
    ++figures_.evicted;
    return remove(entries_.find(*entry->key));
  }

  const std::size_t bytes_max_;
  const std::size_t entries_max_;
  const std::size_t entry_bytes_max_;
  mutable std::mutex mutex_;
  Entries entries_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  Entry* hand_ = nullptr;  // the next to be looked at; none means the oldest
  std::size_t bytes_ = 0;
  CacheFigures figures_;
};

MemoryCacheStore::MemoryCacheStore(const Limits& limits) {
  const std::size_t shards = shards_for(limits);
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(limits, shards));
  }
}

MemoryCacheStore::~MemoryCacheStore() = default;

MemoryCacheStore::Shard& MemoryCacheStore::shard_of(const CacheKey& key) {
  // Not one of the bytes that place a key inside its shard.
  return *shards_[key.digest[16] % shards_.size()];
}

CachedAnswerPtr MemoryCacheStore::get(const CacheLookup& lookup) {
  return shard_of(lookup.key).get(lookup);
}

void MemoryCacheStore::load(const CacheLookup&, Found found) {
  found(nullptr);
}

bool MemoryCacheStore::put(const CacheKey& key, CachedAnswerPtr answer) {
  return shard_of(key).put(key, std::move(answer), true) != nullptr;
}

CachedAnswerPtr MemoryCacheStore::add(const CacheKey& key, CachedAnswerPtr answer) {
  return shard_of(key).put(key, std::move(answer), false);
}

void MemoryCacheStore::erase(const CacheKey& key) {
  shard_of(key).erase(key);
}

void MemoryCacheStore::clear_tenant(std::string_view tenant) {
  for (const auto& shard : shards_) shard->clear_tenant(tenant);
}

CacheFigures MemoryCacheStore::figures() const {
  CacheFigures sum;
  for (const auto& shard : shards_) shard->add_to(sum);
  return sum;
}

}  // namespace deepseek::gateway
