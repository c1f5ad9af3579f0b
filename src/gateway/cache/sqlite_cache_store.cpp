#include "gateway/cache/sqlite_cache_store.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {
namespace {

constexpr std::chrono::minutes remove_interval{1};
constexpr std::int64_t remove_rows_max = 1'000;

}  // namespace

base::Result<std::unique_ptr<SqliteCacheStore>> SqliteCacheStore::open(const Options& options,
                                                                       base::Logger logger) {
  auto repository = CacheRepository::open(options.database, options.file);
  if (!repository) return repository.error();
  return std::unique_ptr<SqliteCacheStore>(
      new SqliteCacheStore(options, logger, std::move(*repository)));
}

SqliteCacheStore::SqliteCacheStore(const Options& options, base::Logger logger,
                                   CacheRepository repository)
    : options_(options),
      logger_(logger),
      memory_(options.memory),
      repository_(std::move(repository)),
      worker_([this] { run(); }) {}

SqliteCacheStore::~SqliteCacheStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  worker_.join();
}

// --- any thread -------------------------------------------------------------

CachedAnswerPtr SqliteCacheStore::get(const CacheLookup& lookup) {
  return memory_.get(lookup);
}

void SqliteCacheStore::load(const CacheLookup& lookup, Found found) {
  Job job =
      Load{lookup.key, std::string(lookup.tenant), lookup.now_ms, lookup.max_age, std::move(found)};
  if (!enqueue(std::move(job), 0, false)) std::get<Load>(job).found(nullptr);
}

bool SqliteCacheStore::put(const CacheKey& key, CachedAnswerPtr answer) {
  const std::size_t bytes = memory_bytes(*answer);
  const bool kept = memory_.put(key, answer);
  if (!kept) {
    enqueue(Erase{key}, 0, false);  // what the file has for this key is older
    return false;
  }
  enqueue(Put{key, std::move(answer)}, bytes, false);
  return true;
}

void SqliteCacheStore::erase(const CacheKey& key) {
  memory_.erase(key);
  enqueue(Erase{key}, 0, true);
}

void SqliteCacheStore::clear_tenant(std::string_view tenant) {
  memory_.clear_tenant(tenant);
  enqueue(ClearTenant{std::string(tenant)}, 0, true);
}

CacheFigures SqliteCacheStore::figures() const {
  CacheFigures figures = memory_.figures();
  figures.slow_hits = slow_hits_;
  const std::lock_guard lock(mutex_);
  figures.refused += refused_;
  return figures;
}

bool SqliteCacheStore::flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = asked_;
  return done_.wait_for(lock, limit, [&] { return finished_ >= target; });
}

// Leaves `job` as it is when there is no room.
bool SqliteCacheStore::enqueue(Job&& job, std::size_t bytes, bool must) {
  {
    const std::lock_guard lock(mutex_);
    const bool room =
        jobs_.size() < options_.queue_max && waiting_bytes_ + bytes <= options_.queue_bytes_max;
    if (!room && !must) {
      ++refused_;
      return false;
    }
    jobs_.push_back(std::move(job));
    waiting_bytes_ += bytes;
    ++asked_;
    if (jobs_.size() > 1) return true;  // the worker was told by the first of them
  }
  work_.notify_one();
  return true;
}

// --- the worker -------------------------------------------------------------

void SqliteCacheStore::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait_for(lock, remove_interval, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty() && stopping_) return;
    std::vector<Job> jobs = std::exchange(jobs_, {});
    waiting_bytes_ = 0;
    lock.unlock();
    work(jobs);
    remove_expired();
    const std::size_t count = jobs.size();
    jobs.clear();
    lock.lock();
    finished_ += count;
    done_.notify_all();
  }
}

void SqliteCacheStore::work(std::vector<Job>& jobs) {
  const bool writes =
      std::ranges::any_of(jobs, [](const Job& job) { return !std::holds_alternative<Load>(job); });
  std::optional<storage::Transaction> transaction;
  if (writes) {
    auto begun = storage::Transaction::begin(repository_.database());
    if (begun) {
      transaction.emplace(std::move(*begun));
    } else {
      check(begun.error());  // each job is then a transaction of its own
    }
  }
  for (Job& job : jobs) {
    check(std::visit([this](auto& one) { return do_job(one); }, job));
  }
  if (transaction) check(transaction->commit());
  const bool cleared = std::ranges::any_of(
      jobs, [](const Job& job) { return std::holds_alternative<ClearTenant>(job); });
  // The log would hold what was cleared until it is written over.
  if (cleared) check(repository_.database().execute("PRAGMA wal_checkpoint(TRUNCATE)"));
}

base::Result<void> SqliteCacheStore::do_job(Load& job) {
  const CacheLookup lookup{job.key, job.tenant, job.now_ms, job.max_age};
  auto found = repository_.find(job.key);
  CachedAnswerPtr answer;
  if (found && *found && is_fresh(**found, lookup)) {
    answer = std::make_shared<const CachedAnswer>(std::move(**found));
    // A newer one may have been put while this waited.
    if (CachedAnswerPtr newer = memory_.add(job.key, answer)) answer = std::move(newer);
    ++slow_hits_;
  }
  job.found(std::move(answer));
  if (!found) return found.error();
  return {};
}

base::Result<void> SqliteCacheStore::do_job(const Put& job) {
  return repository_.put(job.key, *job.answer);
}

// Once more in memory, since a load that was asked for before may have brought it back.
base::Result<void> SqliteCacheStore::do_job(const Erase& job) {
  memory_.erase(job.key);
  return repository_.erase(job.key);
}

base::Result<void> SqliteCacheStore::do_job(const ClearTenant& job) {
  memory_.clear_tenant(job.tenant);
  return repository_.clear_tenant(job.tenant);
}

void SqliteCacheStore::remove_expired() {
  if (base::now() < remove_at_) return;
  remove_at_ = base::now() + remove_interval;
  const auto removed = repository_.remove_expired(base::unix_milliseconds(), remove_rows_max);
  if (!removed) return check(removed.error());
  if (*removed == remove_rows_max) remove_at_ = {};  // there is more
}

void SqliteCacheStore::check(const base::Result<void>& done) {
  if (done) return;
  ++failures_;
  std::int64_t suppressed = 0;
  if (log_limit_.allow(base::now(), suppressed)) {
    logger_.error("the cache's file fails; answers are cached in memory alone",
                  {{"error", done.error().message}, {"suppressed", suppressed}});
  }
}

}  // namespace deepseek::gateway
