// The cache in a SQLite file with memory in front of it.
//
// get() looks into memory alone. All work on the file is done by a worker thread of the store's
// own, in the order in which it was asked for, and several puts share one transaction. When too
// much waits, puts reach memory only and loads are misses: a cache may forget, but it never waits
// and never grows. Erasures are always queued, and have been done in memory when they return.
#pragma once

#include "base/log.hpp"
#include "gateway/cache/cache_repository.hpp"
#include "gateway/cache/memory_cache_store.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace deepseek::gateway {

class SqliteCacheStore : public CacheStore {
 public:
  struct Options {
    storage::DatabaseOptions database;
    CacheRepository::Limits file;
    MemoryCacheStore::Limits memory;
    std::size_t queue_max = 1024;            // jobs that wait for the worker
    std::size_t queue_bytes_max = 32 << 20;  // of answers in them
  };
  // Opens the file and starts the worker. A file that cannot be used is an error of start-up.
  static base::Result<std::unique_ptr<SqliteCacheStore>> open(const Options& options,
                                                              base::Logger logger);
  ~SqliteCacheStore() override;  // does what waits, then ends the worker

  CachedAnswerPtr get(const CacheLookup& lookup) override;
  bool has_slow_tier() const override { return true; }
  void load(const CacheLookup& lookup, Found found) override;
  bool put(const CacheKey& key, CachedAnswerPtr answer) override;
  void erase(const CacheKey& key) override;
  void clear_tenant(std::string_view tenant) override;
  // Of the memory; `refused` also counts what found no room in the queue.
  CacheFigures figures() const override;

  // Waits until all that was asked before is done; false when `limit` passes first. Not on an I/O
  // thread.
  bool flush(std::chrono::milliseconds limit);
  // Failures of the file since the start.
  std::uint64_t failures() const { return failures_; }

 private:
  struct Load {
    CacheKey key;
    std::string tenant;
    std::int64_t now_ms;
    std::optional<std::chrono::seconds> max_age;
    Found found;
  };
  struct Put {
    CacheKey key;
    CachedAnswerPtr answer;
  };
  struct Erase {
    CacheKey key;
  };
  struct ClearTenant {
    std::string tenant;
  };
  using Job = std::variant<Load, Put, Erase, ClearTenant>;

  SqliteCacheStore(const Options& options, base::Logger logger, CacheRepository repository);
  bool enqueue(Job&& job, std::size_t bytes, bool must);
  void run();
  void work(std::vector<Job>& jobs);
  void remove_expired();
  void check(const base::Result<void>& done);
  base::Result<void> do_job(Load& job);
  base::Result<void> do_job(const Put& job);
  base::Result<void> do_job(const Erase& job);
  base::Result<void> do_job(const ClearTenant& job);

  const Options options_;
  const base::Logger logger_;
  MemoryCacheStore memory_;
  CacheRepository repository_;  // this and the next are the worker's alone
  std::chrono::steady_clock::time_point remove_at_{};
  base::LogLimit log_limit_{1};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> slow_hits_{0};

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::vector<Job> jobs_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t asked_ = 0;
  std::uint64_t finished_ = 0;  // of asked_
  std::uint64_t refused_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace deepseek::gateway
