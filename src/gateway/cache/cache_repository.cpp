#include "gateway/cache/cache_repository.hpp"

#include "storage/migration.hpp"

#include <array>
#include <span>

namespace deepseek::gateway {
namespace {

using storage::Statement;

// The sums are kept by triggers, so that no way to change rows can miss them.
constexpr std::array<std::string_view, 1> steps{R"sql(
  CREATE TABLE cache_answers (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    form INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cache_hit_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    usage_mark INTEGER,
    bytes INTEGER NOT NULL,
    packed BLOB NOT NULL
  ) STRICT;
  CREATE INDEX cache_answers_by_tenant ON cache_answers (tenant);
  CREATE TABLE cache_size (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO cache_size VALUES (1, 0, 0);
  CREATE TRIGGER cache_answers_added AFTER INSERT ON cache_answers BEGIN
    UPDATE cache_size SET entries = entries + 1, bytes = bytes + new.bytes;
  END;
  CREATE TRIGGER cache_answers_removed AFTER DELETE ON cache_answers BEGIN
    UPDATE cache_size SET entries = entries - 1, bytes = bytes - old.bytes;
  END;
)sql"};

constexpr std::string_view find_sql =
    "SELECT tenant, model, form, created_ms, expires_ms, prompt_tokens, completion_tokens,"
    " cache_hit_tokens, reasoning_tokens, raw_bytes, usage_mark, packed"
    " FROM cache_answers WHERE digest = ?1";

constexpr std::string_view put_sql =
    "INSERT INTO cache_answers (digest, tenant, model, form, created_ms, expires_ms,"
    " prompt_tokens, completion_tokens, cache_hit_tokens, reasoning_tokens, raw_bytes, usage_mark,"
    " bytes, packed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::span<const std::uint8_t> digest_of(const CacheKey& key) {
  return key.digest;
}

std::int64_t file_bytes(const CachedAnswer& answer) {
  constexpr std::size_t row_bytes = 160;  // about what the row and its places in indexes need
  return static_cast<std::int64_t>(answer.packed.size() + answer.tenant.size() +
                                   answer.model.size() + row_bytes);
}

// Nothing for a row that no program of ours wrote, or that was damaged.
std::optional<CachedAnswer> read_answer(const Statement& row, std::uint64_t raw_bytes_max) {
  const std::int64_t form = row.integer(2);
  const std::int64_t raw_bytes = row.integer(9);
  if (form < 0 || form > static_cast<std::int64_t>(AnswerForm::stream_with_usage) ||
      raw_bytes < 0 || static_cast<std::uint64_t>(raw_bytes) > raw_bytes_max) {
    return std::nullopt;
  }
  CachedAnswer answer;
  answer.tenant = row.text(0);
  answer.model = row.text(1);
  answer.form = static_cast<AnswerForm>(form);
  answer.created_ms = row.integer(3);
  answer.expires_ms = row.integer(4);
  answer.usage = {row.integer(5), row.integer(6), row.integer(7), row.integer(8)};
  answer.raw_bytes = static_cast<std::uint64_t>(raw_bytes);
  if (!row.is_null(10)) answer.usage_mark = static_cast<std::uint64_t>(row.integer(10));
  const auto packed = row.blob(11);
  answer.packed.assign(reinterpret_cast<const char*>(packed.data()), packed.size());
  if (!replay(answer)) return std::nullopt;
  return answer;
}

}  // namespace

CacheRepository::CacheRepository(storage::Database database, const Limits& limits)
    : database_(std::move(database)), limits_(limits) {}

base::Result<CacheRepository> CacheRepository::open(const storage::DatabaseOptions& options,
                                                    const Limits& limits) {
  auto database = storage::Database::open(options);
  if (!database) return database.error();
  if (auto done = database->execute("PRAGMA secure_delete = ON"); !done) return done.error();
  if (auto done = storage::migrate(*database, "cache", steps); !done) return done.error();
  CacheRepository repository(std::move(*database), limits);
  if (auto done = repository.prepare(); !done) return done.error();
  return repository;
}

base::Result<void> CacheRepository::prepare() {
  const auto prepare_one = [this](std::optional<Statement>& statement,
                                  std::string_view sql) -> base::Result<void> {
    auto made = database_.prepare(sql);
    if (!made) return made.error();
    statement.emplace(std::move(*made));
    return {};
  };
  if (auto done = prepare_one(find_, find_sql); !done) return done;
  if (auto done = prepare_one(put_, put_sql); !done) return done;
  if (auto done = prepare_one(erase_, "DELETE FROM cache_answers WHERE digest = ?1"); !done) {
    return done;
  }
  if (auto done = prepare_one(size_, "SELECT entries, bytes FROM cache_size"); !done) return done;
  return prepare_one(remove_oldest_,
                     "DELETE FROM cache_answers WHERE id = (SELECT min(id) FROM cache_answers)");
}

base::Result<std::optional<CachedAnswer>> CacheRepository::find(const CacheKey& key) {
  const auto row = find_->bind(1, digest_of(key)).step();
  if (!row) return row.error();
  if (!*row) return std::optional<CachedAnswer>();
  std::optional<CachedAnswer> answer = read_answer(*find_, limits_.raw_bytes_max);
  find_->reset();
  if (!answer) {
    if (auto done = erase(key); !done) return done.error();
  }
  return answer;
}

base::Result<void> CacheRepository::put(const CacheKey& key, const CachedAnswer& answer) {
  if (auto done = erase(key); !done) return done;
  const std::int64_t bytes = file_bytes(answer);
  if (bytes > limits_.bytes_max || limits_.entries_max <= 0) return {};
  put_->bind(1, digest_of(key))
      .bind(2, std::string_view(answer.tenant))
      .bind(3, std::string_view(answer.model))
      .bind(4, static_cast<std::int64_t>(answer.form))
      .bind(5, answer.created_ms)
      .bind(6, answer.expires_ms)
      .bind(7, answer.usage.prompt_tokens)
      .bind(8, answer.usage.completion_tokens)
      .bind(9, answer.usage.prompt_cache_hit_tokens)
      .bind(10, answer.usage.reasoning_tokens)
      .bind(11, static_cast<std::int64_t>(answer.raw_bytes))
      .bind(13, bytes)
      .bind(14, bytes_of(answer.packed));
  if (answer.usage_mark) {
    put_->bind(12, static_cast<std::int64_t>(*answer.usage_mark));
  } else {
    put_->bind_null(12);
  }
  if (auto done = put_->run(); !done) return done;
  return make_room();
}

base::Result<void> CacheRepository::make_room() {
  while (true) {
    const auto now = size();
    if (!now) return now.error();
    if (now->entries <= limits_.entries_max && now->bytes <= limits_.bytes_max) return {};
    if (auto done = remove_oldest_->run(); !done) return done;
    // Sums that say more than there is must not keep us here.
    if (database_.changes() == 0) return {};
  }
}

base::Result<void> CacheRepository::erase(const CacheKey& key) {
  return erase_->bind(1, digest_of(key)).run();
}

base::Result<void> CacheRepository::clear_tenant(std::string_view tenant) {
  auto statement = database_.prepare("DELETE FROM cache_answers WHERE tenant = ?1");
  if (!statement) return statement.error();
  return statement->bind(1, tenant).run();
}

base::Result<std::int64_t> CacheRepository::remove_expired(std::int64_t now_ms,
                                                           std::int64_t rows_max) {
  auto statement = database_.prepare(
      "DELETE FROM cache_answers WHERE expires_ms <= ?1 AND id <="
      " (SELECT max(id) FROM (SELECT id FROM cache_answers ORDER BY id LIMIT ?2))");
  if (!statement) return statement.error();
  if (auto done = statement->bind(1, now_ms).bind(2, rows_max).run(); !done) return done.error();
  return database_.changes();
}

base::Result<CacheRepository::Size> CacheRepository::size() {
  const auto row = size_->step();
  if (!row) return row.error();
  Size found;
  if (*row) found = {size_->integer(0), size_->integer(1)};
  size_->reset();
  return found;
}

}  // namespace deepseek::gateway
