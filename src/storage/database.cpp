#include "storage/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <system_error>
#include <utility>

namespace deepseek::storage {

using base::Error;
using base::ErrorCode;

struct Database::Handle {
  ~Handle() { sqlite3_close_v2(connection); }

  Error error(int code, std::string_view doing) const;

  std::filesystem::path file;
  sqlite3* connection = nullptr;
};

namespace {

struct Explanation {
  ErrorCode code;
  std::string_view advice;
};

Explanation explain(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::unavailable, "another program holds it; end that program"};
    case SQLITE_FULL:
      return {ErrorCode::unavailable, "the disk or the allowed size is full; make room"};
    case SQLITE_IOERR:
      return {ErrorCode::unavailable, "the disk fails; check it and the system's log"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return {ErrorCode::unavailable,
              "give this user the right to read and write the file and its folder"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::unavailable,
              "the file is damaged or is no SQLite database; move it away or put back a copy"};
    case SQLITE_NOMEM:
      return {ErrorCode::unavailable, "there is no memory left"};
    case SQLITE_CONSTRAINT:
      return {ErrorCode::conflict, "such a row exists, or one that it needs does not"};
    default:
      return {ErrorCode::internal, "this is a mistake of ours; please report it"};
  }
}

Error file_error(const std::filesystem::path& path, std::string_view doing, int number) {
  return base::make_error(ErrorCode::unavailable,
                          path.string() + ": cannot " + std::string(doing) + ": " +
                              std::error_code(number, std::generic_category()).message() +
                              "; choose another folder, or give this user the right to write "
                              "there");
}

base::Result<void> make_folder(const std::filesystem::path& folder) {
  if (folder.empty()) return {};
  std::error_code failure;
  if (std::filesystem::is_directory(folder, failure)) return {};
  const base::Result<void> parent = make_folder(folder.parent_path());
  if (!parent) return parent.error();
  if (::mkdir(folder.c_str(), S_IRWXU) == 0 || errno == EEXIST) return {};
  return file_error(folder, "make the folder", errno);
}

// Made by us and not by SQLite, so that it is never readable to others, not even for a moment.
base::Result<void> make_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return file_error(file, "open it", errno);
  ::close(descriptor);
  return {};
}

std::string set_up(const DatabaseOptions& options) {
  std::string sql = "PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;";
  sql += options.durability == Durability::power ? "PRAGMA synchronous = FULL;"
                                                 : "PRAGMA synchronous = NORMAL;";
  if (options.pages_max > 0) {
    sql += "PRAGMA max_page_count = " + std::to_string(options.pages_max) + ";";
  }
  return sql;
}

}  // namespace

Error Database::Handle::error(int code, std::string_view doing) const {
  const Explanation explanation = explain(code);
  const char* const said = connection != nullptr && sqlite3_errcode(connection) == (code & 0xff)
                               ? sqlite3_errmsg(connection)
                               : sqlite3_errstr(code);
  return base::make_error(explanation.code, file.string() + ": cannot " + std::string(doing) +
                                                ": " + said + "; " +
                                                std::string(explanation.advice));
}

// --- database ---------------------------------------------------------------

Database::Database(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

base::Result<Database> Database::open(const DatabaseOptions& options) {
  if (auto folder = make_folder(options.file.parent_path()); !folder) return folder.error();
  if (auto file = make_file(options.file); !file) return file.error();
  auto handle = std::make_shared<Handle>();
  handle->file = options.file;
  const int opened =
      sqlite3_open_v2(options.file.c_str(), &handle->connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (opened != SQLITE_OK) return handle->error(opened, "open it");
  sqlite3_busy_timeout(handle->connection, static_cast<int>(options.busy_timeout.count()));
  Database database(handle);
  // The journal's mode is part of the file, so this is also the first look into it.
  base::Result<Statement> mode = database.prepare("PRAGMA journal_mode = WAL");
  if (!mode) return mode.error();
  const base::Result<bool> row = mode->step();
  if (!row) return row.error();
  if (!*row || mode->text(0) != "wal") {
    return base::make_error(ErrorCode::unavailable,
                            options.file.string() +
                                ": its folder does not allow a write-ahead "
                                "log; use a local disk, not a network share");
  }
  mode->reset();
  if (auto done = database.execute(set_up(options)); !done) return done.error();
  return database;
}

base::Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_->connection, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return handle_->error(code, "write to it");
  return {};
}

base::Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_->connection, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return handle_->error(code, "prepare a statement");
  return Statement(handle_, statement);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_->connection);
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_->connection) == 0;
}

base::Result<void> Database::check() {
  base::Result<Statement> statement = prepare("PRAGMA quick_check(1)");
  if (!statement) return statement.error();
  const base::Result<bool> row = statement->step();
  if (!row) return row.error();
  if (*row && statement->text(0) == "ok") return {};
  return handle_->error(SQLITE_CORRUPT, "read it");
}

const std::filesystem::path& Database::file() const {
  return handle_->file;
}

// --- statement --------------------------------------------------------------

Statement::Statement(std::shared_ptr<Database::Handle> database, sqlite3_stmt* statement)
    : database_(std::move(database)), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : database_(std::move(other.database_)),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  std::swap(bind_error_, other.bind_error_);
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::note(int code) {
  if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
}

Statement& Statement::bind(int place, std::int64_t value) {
  note(sqlite3_bind_int64(statement_, place, value));
  return *this;
}

Statement& Statement::bind(int place, double value) {
  note(sqlite3_bind_double(statement_, place, value));
  return *this;
}

Statement& Statement::bind(int place, std::string_view text) {
  // A null pointer would bind NULL, and an empty view may have one.
  const char* const data = text.data() != nullptr ? text.data() : "";
  note(sqlite3_bind_text64(statement_, place, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(int place, std::span<const std::byte> blob) {
  const void* const data = blob.data() != nullptr ? static_cast<const void*>(blob.data()) : "";
  note(sqlite3_bind_blob64(statement_, place, data, blob.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::bind(int place, std::span<const std::uint8_t> blob) {
  return bind(place, std::as_bytes(blob));
}

Statement& Statement::bind_null(int place) {
  note(sqlite3_bind_null(statement_, place));
  return *this;
}

base::Result<bool> Statement::step() {
  if (const int wrong = std::exchange(bind_error_, SQLITE_OK); wrong != SQLITE_OK) {
    return database_->error(wrong, "bind a value");
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_);
    return false;
  }
  Error error = database_->error(
      code, sqlite3_stmt_readonly(statement_) != 0 ? "read from it" : "write to it");
  sqlite3_reset(statement_);
  return error;
}

base::Result<void> Statement::run() {
  const base::Result<bool> row = step();
  if (!row) return row.error();
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_);
  bind_error_ = SQLITE_OK;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string_view Statement::text(int column) const {
  const auto* const bytes = sqlite3_column_text(statement_, column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::span<const std::byte> Statement::blob(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const std::byte*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// --- transaction ------------------------------------------------------------

base::Result<Transaction> Transaction::begin(Database& database) {
  if (auto done = database.execute("BEGIN IMMEDIATE"); !done) return done.error();
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite itself has rolled back after some errors; then there is nothing to end.
  if (database_ != nullptr && database_->in_transaction()) (void)database_->execute("ROLLBACK");
}

base::Result<void> Transaction::commit() {
  Database& database = *std::exchange(database_, nullptr);
  base::Result<void> done = database.execute("COMMIT");
  if (!done && database.in_transaction()) (void)database.execute("ROLLBACK");
  return done;
}

}  // namespace deepseek::storage
