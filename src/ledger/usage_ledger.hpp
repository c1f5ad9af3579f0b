// The ledger: takes what every attempt used from the I/O threads, and keeps it through a crash.
//
// Owned by main(), which outlives all who record. record() may be called from any thread and never
// waits for the disk: a thread of the ledger's own writes what has come, in one transaction, every
// `flush` or as soon as `flush_entries` wait. kill -9 loses at most what came in the last `flush`
// (and the time of one write). When the disk fails, entries wait and are tried again with growing
// pauses; when `queue_max` of them wait, further ones are added to sums in memory: their tokens and
// money still count, only their rows are lost, which is counted, logged and kept in the sums.
#pragma once

#include "base/log.hpp"
#include "ledger/usage_repository.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace deepseek::ledger {

struct LedgerOptions {
  storage::DatabaseOptions database;
  std::size_t queue_max = 65'536;         // ledger.queue_max
  std::chrono::milliseconds flush{200};   // ledger.flush_ms
  std::size_t flush_entries = 2'000;      // so many are written at once without waiting
  std::size_t overflow_keys_max = 4'096;  // different sums while the queue is full
  std::chrono::hours keep{24 * 90};       // rows of attempts; 0 keeps all. Sums are always kept
  std::chrono::milliseconds retry_min{100};
  std::chrono::milliseconds retry_max{10'000};
  std::chrono::milliseconds stop_limit{5'000};  // for the last write, when the disk fails
};

struct LedgerHealth {
  bool ok = true;
  std::string error;               // of the last write, if it failed
  std::size_t waiting = 0;         // entries that are not on the disk
  std::uint64_t written = 0;       // entries that are
  std::uint64_t details_lost = 0;  // entries that are only in the sums
  std::uint64_t lost = 0;          // entries that came after the stop, or that it gave up
  std::uint64_t failures = 0;      // of writes
};

class UsageLedger {
 public:
  // Opens the file and starts the writer. A file that cannot be used is an error of start-up.
  static base::Result<std::unique_ptr<UsageLedger>> open(const LedgerOptions& options,
                                                         base::Logger logger);
  ~UsageLedger();  // stops
  UsageLedger(const UsageLedger&) = delete;
  UsageLedger& operator=(const UsageLedger&) = delete;

  void record(UsageEntry entry);

  // Waits until all that was recorded before is on the disk; false when `limit` passes first. Not
  // on an I/O thread.
  bool flush(std::chrono::milliseconds limit);
  // Writes what waits and ends the writer; what is recorded later is lost.
  void stop();

  LedgerHealth health() const;

 private:
  UsageLedger(const LedgerOptions& options, base::Logger logger, UsageRepository repository);
  void run();
  UsageBatch take();
  void write(const UsageBatch& batch);
  // Notes a failed write; false when the time to stop has passed and the batch is given up.
  bool may_try_again(const base::Error& error, std::chrono::milliseconds pause);
  void remove_old();

  const LedgerOptions options_;
  const base::Logger logger_;
  UsageRepository repository_;  // this and the next two are the writer's alone
  std::int64_t batch_number_ = 0;
  std::chrono::steady_clock::time_point remove_at_{};

  mutable std::mutex mutex_;
  std::condition_variable work_;  // for the writer
  std::condition_variable done_;  // for flush()
  UsageQueue queue_;
  UsageSums overflow_;
  std::size_t writing_ = 0;  // entries of the batch that is being written
  bool flush_asked_ = false;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_at_{};
  std::uint64_t recorded_ = 0;
  std::uint64_t settled_ = 0;  // of recorded_: on the disk, or given up at the stop
  LedgerHealth health_;        // without `waiting`
  base::LogLimit late_limit_{1};
  std::thread writer_;
};

}  // namespace deepseek::ledger
