// The ledger's tables: one row for each attempt, and sums for each hour.
//
// Owns its database; used by one thread at a time, never by an I/O thread. The writer has one, and
// who asks for totals opens another on the same file.
#pragma once

#include "ledger/usage_queue.hpp"
#include "ledger/usage_sums.hpp"
#include "storage/database.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace deepseek::ledger {

// What is written in one transaction.
struct UsageBatch {
  UsageQueue::Chunks entries;
  UsageSums sums_only{0};   // of attempts whose rows found no room
  std::int64_t number = 0;  // of the writer, rising: the same batch is not written twice
};

struct UsageQuery {
  std::int64_t from_ms = 0;  // whole hours: those that begin in [from_ms, to_ms)
  std::int64_t to_ms = std::numeric_limits<std::int64_t>::max();
  std::optional<std::string> tenant;
  std::optional<std::string> backend;
  std::optional<std::string> model;
  bool by_hour = false;  // which of the four the result tells apart; currencies always
  bool by_tenant = false;
  bool by_backend = false;
  bool by_model = false;
  std::size_t rows_max = 10'000;  // more is an error
};

struct UsageRow {
  UsageKey key;  // fields that are not told apart are empty or 0
  UsageTotals totals;
};

class UsageRepository {
 public:
  static base::Result<UsageRepository> open(const storage::DatabaseOptions& options);

  // All or nothing. After an error the same batch may be given again.
  base::Result<void> write(const UsageBatch& batch);

  // Deletes rows of attempts that ended before `time_ms`, from the oldest, at most `rows_max`; the
  // sums stay. How many there were.
  base::Result<std::int64_t> remove_before(std::int64_t time_ms, std::int64_t rows_max);

  base::Result<std::vector<UsageRow>> totals(const UsageQuery& query);
  // The newest attempts first.
  base::Result<std::vector<UsageEntry>> latest(std::int64_t rows_max);

 private:
  explicit UsageRepository(storage::Database database);
  base::Result<void> prepare();
  base::Result<bool> written_before(std::int64_t number);
  base::Result<void> insert(std::span<const UsageEntry> entries);
  base::Result<void> add(const UsageKey& key, const UsageTotals& totals);

  storage::Database database_;
  std::string writer_;  // tells our batches from those of other processes
  std::optional<storage::Statement> insert_one_;
  std::optional<storage::Statement> insert_group_;
  std::optional<storage::Statement> add_;
};

}  // namespace deepseek::ledger
