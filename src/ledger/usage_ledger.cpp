#include "ledger/usage_ledger.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::ledger {
namespace {

constexpr std::chrono::minutes remove_interval{1};
constexpr std::int64_t remove_rows_max = 10'000;

std::size_t entries_of(const UsageBatch& batch) {
  std::size_t sum = 0;
  for (const auto& chunk : batch.entries) sum += chunk.size();
  return sum;
}

std::uint64_t attempts_of(const UsageSums& sums) {
  std::uint64_t sum = 0;
  for (const auto& [key, totals] : sums.sums()) sum += static_cast<std::uint64_t>(totals.attempts);
  return sum;
}

}  // namespace

base::Result<std::unique_ptr<UsageLedger>> UsageLedger::open(const LedgerOptions& options,
                                                             base::Logger logger) {
  auto repository = UsageRepository::open(options.database);
  if (!repository) return repository.error();
  return std::unique_ptr<UsageLedger>(new UsageLedger(options, logger, std::move(*repository)));
}

UsageLedger::UsageLedger(const LedgerOptions& options, base::Logger logger,
                         UsageRepository repository)
    : options_(options),
      logger_(logger),
      repository_(std::move(repository)),
      overflow_(options.overflow_keys_max),
      writer_([this] { run(); }) {}

UsageLedger::~UsageLedger() {
  stop();
}

// --- any thread -------------------------------------------------------------

void UsageLedger::record(UsageEntry entry) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    ++health_.lost;
    lock.unlock();
    std::int64_t suppressed = 0;
    if (late_limit_.allow(base::now(), suppressed)) {
      logger_.error("usage came after the ledger's end and is lost", {{"suppressed", suppressed}});
    }
    return;
  }
  ++recorded_;
  if (queue_.size() + writing_ >= options_.queue_max) {
    UsageTotals totals = totals_of(entry);
    totals.details_lost = 1;
    overflow_.add(UsageKeyView(entry), totals);
    ++health_.details_lost;
    return;
  }
  queue_.push(std::move(entry));
  // The writer looks by itself every `flush`; waking it costs more than all the rest of this.
  const bool wake = queue_.size() == options_.flush_entries;
  lock.unlock();
  if (wake) work_.notify_one();
}

bool UsageLedger::flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = recorded_;
  flush_asked_ = true;
  work_.notify_one();
  return done_.wait_for(lock, limit, [&] { return settled_ >= target; });
}

void UsageLedger::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(stopping_, true)) stop_at_ = base::now() + options_.stop_limit;
  }
  work_.notify_one();
  if (writer_.joinable()) writer_.join();
}

LedgerHealth UsageLedger::health() const {
  const std::lock_guard lock(mutex_);
  LedgerHealth health = health_;
  health.waiting = static_cast<std::size_t>(recorded_ - settled_);
  return health;
}

// --- the writer -------------------------------------------------------------

void UsageLedger::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait_for(lock, options_.flush, [this] {
      return stopping_ || flush_asked_ || queue_.size() >= options_.flush_entries;
    });
    flush_asked_ = false;
    if (queue_.size() == 0 && overflow_.empty()) {
      if (stopping_) return;
      continue;
    }
    UsageBatch batch = take();
    lock.unlock();
    write(batch);
    remove_old();
    UsageQueue::Chunks spare = UsageQueue::emptied(std::move(batch.entries));
    lock.lock();
    queue_.keep(std::move(spare));
  }
}

UsageBatch UsageLedger::take() {
  UsageBatch batch;
  writing_ = queue_.size();
  batch.entries = queue_.take();
  batch.sums_only = std::exchange(overflow_, UsageSums(options_.overflow_keys_max));
  batch.number = ++batch_number_;
  return batch;
}

void UsageLedger::write(const UsageBatch& batch) {
  const std::size_t entries = entries_of(batch);
  const std::uint64_t sums_only = attempts_of(batch.sums_only);
  std::chrono::milliseconds pause = options_.retry_min;
  base::Result<void> written = repository_.write(batch);
  while (!written && may_try_again(written.error(), pause)) {
    pause = std::min(2 * pause, options_.retry_max);
    written = repository_.write(batch);
  }
  bool recovered = false;
  {
    const std::lock_guard lock(mutex_);
    writing_ = 0;
    settled_ += entries + sums_only;
    if (written) {
      health_.written += entries;
      recovered = !std::exchange(health_.ok, true);
      health_.error.clear();
    } else {
      health_.lost += entries + sums_only;
    }
  }
  done_.notify_all();
  if (recovered) logger_.info("usage is written again", {{"entries", std::uint64_t{entries}}});
  if (!written) {
    logger_.error("usage is lost: the disk failed until the end",
                  {{"entries", std::uint64_t{entries + sums_only}}});
  } else if (sums_only > 0) {
    logger_.warning("the queue of usage was full; these attempts are only in the sums",
                    {{"attempts", sums_only}, {"limit", "ledger.queue_max"}});
  }
}

bool UsageLedger::may_try_again(const base::Error& error, std::chrono::milliseconds pause) {
  logger_.error("usage cannot be written; it waits in memory",
                {{"error", error.message}, {"retry_in_ms", pause}});
  std::unique_lock lock(mutex_);
  health_.ok = false;
  health_.error = error.message;
  ++health_.failures;
  if (!stopping_) {
    work_.wait_for(lock, pause, [this] { return stopping_; });
    return true;
  }
  if (base::now() >= stop_at_) return false;
  // Nothing but the time ends this wait: a stop is asked for already.
  work_.wait_until(lock, std::min(base::now() + options_.retry_min, stop_at_));
  return true;
}

void UsageLedger::remove_old() {
  if (options_.keep.count() == 0 || base::now() < remove_at_) return;
  remove_at_ = base::now() + remove_interval;
  const std::int64_t limit =
      base::unix_milliseconds() - std::chrono::milliseconds(options_.keep).count();
  const base::Result<std::int64_t> removed = repository_.remove_before(limit, remove_rows_max);
  if (!removed) {
    logger_.warning("old usage cannot be removed", {{"error", removed.error().message}});
  } else if (*removed == remove_rows_max) {
    remove_at_ = {};  // there is more
  }
}

}  // namespace deepseek::ledger
