#include "ledger/usage_repository.hpp"

#include "base/id.hpp"
#include "storage/migration.hpp"

#include <array>

namespace deepseek::ledger {
namespace {

using storage::Statement;
using storage::Transaction;

// No index but the row's number: rows come in the order of time, and each index would cost as much
// as the row. Totals are read from the hours.
constexpr std::array<std::string_view, 1> steps{R"sql(
  CREATE TABLE usage_attempts (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    backend TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    model_upstream TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cache_hit_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    counted_by TEXT NOT NULL,
    outcome TEXT NOT NULL,
    http_status INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    first_token_ms INTEGER,
    cost_nano INTEGER NOT NULL,
    currency TEXT NOT NULL,
    cached INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE usage_hours (
    hour INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    backend TEXT NOT NULL,
    model TEXT NOT NULL,
    currency TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    details_lost INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cache_hit_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_nano INTEGER NOT NULL,
    PRIMARY KEY (hour, tenant, backend, model, currency)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE usage_writers (
    writer TEXT PRIMARY KEY,
    batch INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
)sql"};

constexpr std::string_view attempt_columns =
    "request_id, attempt, tenant, backend, model_asked, model_upstream, endpoint, time_ms,"
    " prompt_tokens, completion_tokens, cache_hit_tokens, reasoning_tokens, counted_by, outcome,"
    " http_status, duration_ms, first_token_ms, cost_nano, currency, cached";
constexpr int attempt_column_count = 20;
// Rows of one statement: each statement has a price of its own.
constexpr std::size_t group_rows = 16;

std::string insert_attempts(std::size_t rows) {
  std::string row = "(?";
  for (int i = 1; i < attempt_column_count; ++i) row += ",?";
  row += ")";
  std::string sql =
      "INSERT INTO usage_attempts (" + std::string(attempt_columns) + ") VALUES " + row;
  for (std::size_t i = 1; i < rows; ++i) sql += "," + row;
  return sql;
}

constexpr std::array<std::string_view, 10> sum_columns{
    "attempts",      "answered",          "failed",           "cached",           "details_lost",
    "prompt_tokens", "completion_tokens", "cache_hit_tokens", "reasoning_tokens", "cost_nano"};

std::array<std::int64_t, sum_columns.size()> values_of(const UsageTotals& totals) {
  return {totals.attempts,
          totals.answered,
          totals.failed,
          totals.cached,
          totals.details_lost,
          totals.prompt_tokens,
          totals.completion_tokens,
          totals.cache_hit_tokens,
          totals.reasoning_tokens,
          totals.cost_nano};
}

// A sum that would leave 64 bits becomes a real number in SQLite; the smaller one is then sum_max.
std::string add_to_hour() {
  std::string columns;
  std::string places;
  std::string sums;
  for (const std::string_view column : sum_columns) {
    const std::string name(column);
    columns += ", " + name;
    places += ", ?";
    sums += (sums.empty() ? "" : ", ") + name + " = min(" + std::to_string(sum_max) + ", " + name +
            " + excluded." + name + ")";
  }
  return "INSERT INTO usage_hours (hour, tenant, backend, model, currency" + columns +
         ") VALUES (?, ?, ?, ?, ?" + places +
         ") ON CONFLICT (hour, tenant, backend, model, currency) DO UPDATE SET " + sums;
}

std::string select_hours() {
  std::string columns;
  for (const std::string_view column : sum_columns) columns += ", " + std::string(column);
  return "SELECT hour, tenant, backend, model, currency" + columns +
         " FROM usage_hours WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR tenant = ?3)"
         " AND (?4 IS NULL OR backend = ?4) AND (?5 IS NULL OR model = ?5)";
}

std::int64_t hour_from(std::int64_t time_ms) {
  return time_ms / hour_ms + (time_ms % hour_ms > 0 ? 1 : 0);
}

// Into the places from `place` on, in the order of attempt_columns.
void bind_entry(Statement& row, int place, const UsageEntry& entry) {
  const UsageTotals bounded = totals_of(entry);
  row.bind(place++, std::string_view(entry.request_id));
  row.bind(place++, std::int64_t{entry.attempt});
  row.bind(place++, std::string_view(entry.tenant));
  row.bind(place++, std::string_view(entry.backend));
  row.bind(place++, std::string_view(entry.model_asked));
  row.bind(place++, std::string_view(entry.model_upstream));
  row.bind(place++, std::string_view(entry.endpoint));
  row.bind(place++, entry.time_ms);
  row.bind(place++, bounded.prompt_tokens);
  row.bind(place++, bounded.completion_tokens);
  row.bind(place++, bounded.cache_hit_tokens);
  row.bind(place++, bounded.reasoning_tokens);
  row.bind(place++, to_string(entry.counted_by));
  row.bind(place++, to_string(entry.outcome));
  row.bind(place++, std::int64_t{entry.http_status});
  row.bind(place++, entry.duration_ms);
  if (entry.first_token_ms < 0) {
    row.bind_null(place++);
  } else {
    row.bind(place++, entry.first_token_ms);
  }
  row.bind(place++, bounded.cost_nano);
  row.bind(place++, std::string_view(entry.currency));
  row.bind(place++, std::int64_t{entry.cached ? 1 : 0});
}

void bind_filter(Statement& statement, int place, const std::optional<std::string>& value) {
  if (value) {
    statement.bind(place, std::string_view(*value));
  } else {
    statement.bind_null(place);
  }
}

template <class Enum>
Enum enum_of(std::string_view text, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (to_string(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
  }
  return last;
}

UsageKeyView read_key(const Statement& row, const UsageQuery& query) {
  static const UsageKey nothing;
  UsageKeyView key(nothing);
  if (query.by_hour) key.hour = row.integer(0);
  if (query.by_tenant) key.tenant = row.text(1);
  if (query.by_backend) key.backend = row.text(2);
  if (query.by_model) key.model = row.text(3);
  key.currency = row.text(4);
  return key;
}

UsageTotals read_totals(const Statement& row) {
  return {row.integer(5),  row.integer(6),  row.integer(7),  row.integer(8),  row.integer(9),
          row.integer(10), row.integer(11), row.integer(12), row.integer(13), row.integer(14)};
}

UsageEntry read_entry(const Statement& row) {
  UsageEntry entry;
  entry.request_id = row.text(0);
  entry.attempt = static_cast<std::int32_t>(row.integer(1));
  entry.tenant = row.text(2);
  entry.backend = row.text(3);
  entry.model_asked = row.text(4);
  entry.model_upstream = row.text(5);
  entry.endpoint = row.text(6);
  entry.time_ms = row.integer(7);
  entry.usage.prompt_tokens = row.integer(8);
  entry.usage.completion_tokens = row.integer(9);
  entry.usage.prompt_cache_hit_tokens = row.integer(10);
  entry.usage.reasoning_tokens = row.integer(11);
  entry.counted_by = enum_of(row.text(12), CountedBy::estimated);
  entry.outcome = enum_of(row.text(13), AttemptOutcome::shadow);
  entry.http_status = static_cast<std::int32_t>(row.integer(14));
  entry.duration_ms = row.integer(15);
  entry.first_token_ms = row.is_null(16) ? -1 : row.integer(16);
  entry.cost_nano = row.integer(17);
  entry.currency = row.text(18);
  entry.cached = row.integer(19) != 0;
  return entry;
}

}  // namespace

UsageRepository::UsageRepository(storage::Database database)
    : database_(std::move(database)), writer_(base::random_id("", 16)) {}

base::Result<UsageRepository> UsageRepository::open(const storage::DatabaseOptions& options) {
  auto database = storage::Database::open(options);
  if (!database) return database.error();
  if (auto done = storage::migrate(*database, "ledger", steps); !done) return done.error();
  UsageRepository repository(std::move(*database));
  if (auto done = repository.prepare(); !done) return done.error();
  return repository;
}

base::Result<void> UsageRepository::prepare() {
  auto one = database_.prepare(insert_attempts(1));
  if (!one) return one.error();
  insert_one_.emplace(std::move(*one));
  auto group = database_.prepare(insert_attempts(group_rows));
  if (!group) return group.error();
  insert_group_.emplace(std::move(*group));
  auto add = database_.prepare(add_to_hour());
  if (!add) return add.error();
  add_.emplace(std::move(*add));
  return {};
}

base::Result<void> UsageRepository::write(const UsageBatch& batch) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) return transaction.error();
  const auto before = written_before(batch.number);
  if (!before) return before.error();
  if (*before) return transaction->commit();
  constexpr std::size_t keys_unbounded = std::numeric_limits<std::size_t>::max() / 2;
  UsageSums sums(keys_unbounded);
  for (const auto& chunk : batch.entries) {
    if (auto done = insert(chunk); !done) return done;
    for (const UsageEntry& entry : chunk) sums.add(UsageKeyView(entry), totals_of(entry));
  }
  for (const auto& [key, totals] : batch.sums_only.sums()) sums.add(UsageKeyView(key), totals);
  for (const auto& [key, totals] : sums.sums()) {
    if (auto done = add(key, totals); !done) return done;
  }
  return transaction->commit();
}

// A commit that failed may have happened all the same. So its number is part of it, and whoever
// tries it again sees that it is there.
base::Result<bool> UsageRepository::written_before(std::int64_t number) {
  auto statement = database_.prepare(
      "INSERT INTO usage_writers (writer, batch) VALUES (?1, ?2) ON CONFLICT (writer)"
      " DO UPDATE SET batch = excluded.batch WHERE batch < excluded.batch");
  if (!statement) return statement.error();
  if (auto done = statement->bind(1, std::string_view(writer_)).bind(2, number).run(); !done) {
    return done.error();
  }
  if (database_.changes() == 0) return true;
  // Of processes that are gone.
  auto others = database_.prepare("DELETE FROM usage_writers WHERE writer <> ?1");
  if (!others) return others.error();
  if (auto done = others->bind(1, std::string_view(writer_)).run(); !done) return done.error();
  return false;
}

base::Result<void> UsageRepository::insert(std::span<const UsageEntry> entries) {
  while (!entries.empty()) {
    const bool grouped = entries.size() >= group_rows;
    const std::size_t rows = grouped ? group_rows : 1;
    Statement& statement = grouped ? *insert_group_ : *insert_one_;
    int place = 1;
    for (const UsageEntry& entry : entries.first(rows)) {
      bind_entry(statement, place, entry);
      place += attempt_column_count;
    }
    if (auto done = statement.run(); !done) return done;
    entries = entries.subspan(rows);
  }
  return {};
}

base::Result<void> UsageRepository::add(const UsageKey& key, const UsageTotals& totals) {
  add_->bind(1, key.hour)
      .bind(2, std::string_view(key.tenant))
      .bind(3, std::string_view(key.backend))
      .bind(4, std::string_view(key.model))
      .bind(5, std::string_view(key.currency));
  int place = 6;
  for (const std::int64_t value : values_of(totals)) add_->bind(place++, value);
  return add_->run();
}

base::Result<std::int64_t> UsageRepository::remove_before(std::int64_t time_ms,
                                                          std::int64_t rows_max) {
  auto statement = database_.prepare(
      "DELETE FROM usage_attempts WHERE time_ms < ?1 AND id <="
      " (SELECT max(id) FROM (SELECT id FROM usage_attempts ORDER BY id LIMIT ?2))");
  if (!statement) return statement.error();
  if (auto done = statement->bind(1, time_ms).bind(2, rows_max).run(); !done) return done.error();
  return database_.changes();
}

// Added up here and not by SQL, whose sum() is an error where ours stops at sum_max.
base::Result<std::vector<UsageRow>> UsageRepository::totals(const UsageQuery& query) {
  auto statement = database_.prepare(select_hours());
  if (!statement) return statement.error();
  statement->bind(1, hour_from(query.from_ms)).bind(2, hour_from(query.to_ms));
  bind_filter(*statement, 3, query.tenant);
  bind_filter(*statement, 4, query.backend);
  bind_filter(*statement, 5, query.model);
  UsageSums sums(std::numeric_limits<std::size_t>::max() / 2);
  while (true) {
    const auto row = statement->step();
    if (!row) return row.error();
    if (!*row) break;
    sums.add(read_key(*statement, query), read_totals(*statement));
    if (sums.size() > query.rows_max) {
      return base::make_error(base::ErrorCode::invalid_request,
                              "the result has more than " + std::to_string(query.rows_max) +
                                  " rows: ask for a shorter time or for fewer distinctions");
    }
  }
  std::vector<UsageRow> rows;
  for (const auto& [key, totals] : sums.sums()) rows.push_back({key, totals});
  return rows;
}

base::Result<std::vector<UsageEntry>> UsageRepository::latest(std::int64_t rows_max) {
  auto statement = database_.prepare("SELECT " + std::string(attempt_columns) +
                                     " FROM usage_attempts ORDER BY id DESC LIMIT ?1");
  if (!statement) return statement.error();
  statement->bind(1, rows_max);
  std::vector<UsageEntry> entries;
  while (true) {
    const auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return entries;
    entries.push_back(read_entry(*statement));
  }
}

}  // namespace deepseek::ledger
