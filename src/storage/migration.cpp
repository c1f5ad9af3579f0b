#include "storage/migration.hpp"

namespace deepseek::storage {
namespace {

base::Result<std::int64_t> version_of(Database& database, std::string_view room) {
  auto statement = database.prepare("SELECT version FROM schema_version WHERE room = ?");
  if (!statement) return statement.error();
  const auto row = statement->bind(1, room).step();
  if (!row) return row.error();
  return *row ? statement->integer(0) : 0;
}

base::Result<void> set_version(Database& database, std::string_view room, std::int64_t version) {
  auto statement = database.prepare(
      "INSERT INTO schema_version (room, version) VALUES (?, ?) "
      "ON CONFLICT (room) DO UPDATE SET version = excluded.version");
  if (!statement) return statement.error();
  return statement->bind(1, room).bind(2, version).run();
}

}  // namespace

base::Result<void> migrate(Database& database, std::string_view room,
                           std::span<const std::string_view> steps) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  const auto table = database.execute(
      "CREATE TABLE IF NOT EXISTS schema_version"
      " (room TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID");
  if (!table) return table.error();
  const auto found = version_of(database, room);
  if (!found) return found.error();
  const auto known = static_cast<std::int64_t>(steps.size());
  if (*found > known || *found < 0) {
    return base::make_error(base::ErrorCode::unavailable,
                            database.file().string() + ": its tables of " + std::string(room) +
                                " have version " + std::to_string(*found) +
                                ", this program knows " + std::to_string(known) +
                                "; start a newer program, or name another file");
  }
  if (*found == known) return transaction->commit();
  for (std::int64_t i = *found; i < known; ++i) {
    const auto done = database.execute(std::string(steps[static_cast<std::size_t>(i)]));
    if (!done) return done.error();
  }
  if (const auto set = set_version(database, room, known); !set) return set.error();
  return transaction->commit();
}

}  // namespace deepseek::storage
