// A SQLite database file: the handle, and the statements prepared on it.
//
// A Database and its statements belong to one thread at a time. Every call may block on the disk,
// so none happens on an I/O thread. Errors are values that name the file and what to do:
// `unavailable` for what may pass or be mended outside (locked, full, unreadable, damaged),
// `conflict` for a constraint, `internal` for SQL that is wrong.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace deepseek::storage {

enum class Durability {
  process,  // synchronous = NORMAL: a commit survives the death of the process
  power,    // synchronous = FULL: a commit survives the death of the machine
};

struct DatabaseOptions {
  std::filesystem::path file;
  Durability durability = Durability::process;
  std::chrono::milliseconds busy_timeout{5000};
  std::int64_t pages_max = 0;  // of 4 KiB; 0 is SQLite's own limit
};

class Statement;

class Database {
 public:
  // Opens the file, or makes it with mode 0600 in a folder that is made with mode 0700. Journal in
  // WAL mode, foreign keys on. A file that is no database, or is damaged at its beginning, is an
  // error; it is never replaced.
  static base::Result<Database> open(const DatabaseOptions& options);

  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // One or several statements that give no rows. Only literals of ours: values are bound.
  base::Result<void> execute(const std::string& sql);
  base::Result<Statement> prepare(std::string_view sql);

  // Rows that the last INSERT, UPDATE or DELETE changed.
  std::int64_t changes() const;
  bool in_transaction() const;
  // A whole check of the file (PRAGMA quick_check); reads all of it.
  base::Result<void> check();
  const std::filesystem::path& file() const;

 private:
  friend class Statement;
  struct Handle;
  explicit Database(std::shared_ptr<Handle> handle);
  std::shared_ptr<Handle> handle_;  // statements keep it open
};

// A prepared statement. Values are bound by their place, from 1; after the last row, reset() or a
// failed step() it may be bound and stepped again.
class Statement {
 public:
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  // What is bound as text or blob is not copied: it stays until the next reset().
  Statement& bind(int place, std::int64_t value);
  Statement& bind(int place, double value);
  Statement& bind(int place, std::string_view text);
  Statement& bind(int place, const char* text) { return bind(place, std::string_view(text)); }
  Statement& bind(int place, std::span<const std::byte> blob);
  Statement& bind(int place, std::span<const std::uint8_t> blob);
  Statement& bind_null(int place);

  // True when there is a row. Errors of bind() are told here.
  base::Result<bool> step();
  // For statements that give no row: step() and reset().
  base::Result<void> run();
  void reset();

  // Of the current row, from 0. Text and blobs are valid until the next step() or reset().
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string_view text(int column) const;
  std::span<const std::byte> blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  Statement(std::shared_ptr<Database::Handle> database, sqlite3_stmt* statement);
  void note(int code);

  std::shared_ptr<Database::Handle> database_;
  sqlite3_stmt* statement_ = nullptr;
  int bind_error_ = 0;
};

// Begins at once with the right to write, so that it fails here rather than half-way. Destroying it
// without commit() rolls back.
class Transaction {
 public:
  static base::Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // After an error nothing of it is in the file.
  base::Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_ = nullptr;  // null once it has ended
};

}  // namespace deepseek::storage
