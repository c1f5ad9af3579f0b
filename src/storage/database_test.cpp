#include "storage/database.hpp"

#include "storage/test_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <array>
#include <fstream>
#include <limits>

namespace deepseek::storage {
namespace {

using base::ErrorCode;
using testing::AllOf;
using testing::HasSubstr;

struct DatabaseTest : testing::Test {
  Database open(DatabaseOptions options = {}) {
    options.file = file;
    auto database = Database::open(options);
    EXPECT_TRUE(database) << database.error().message;
    return std::move(*database);
  }
  static std::int64_t number(Database& database, std::string_view sql) {
    auto statement = database.prepare(sql);
    EXPECT_TRUE(statement) << statement.error().message;
    EXPECT_TRUE(*statement->step());
    return statement->integer(0);
  }
  static std::string text(Database& database, std::string_view sql) {
    auto statement = database.prepare(sql);
    EXPECT_TRUE(statement) << statement.error().message;
    EXPECT_TRUE(*statement->step());
    return std::string(statement->text(0));
  }
  static mode_t mode(const std::filesystem::path& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }

  TestFolder folder;
  std::filesystem::path file = folder.path() / "inner" / "deep" / "state.sqlite";
};

TEST_F(DatabaseTest, IsMadePrivateAndSetUp) {
  Database database = open();
  EXPECT_EQ(mode(file), 0600u);
  EXPECT_EQ(mode(file.parent_path()), 0700u);
  EXPECT_EQ(mode(file.parent_path().parent_path()), 0700u);
  EXPECT_EQ(text(database, "PRAGMA journal_mode"), "wal");
  EXPECT_EQ(number(database, "PRAGMA foreign_keys"), 1);
  EXPECT_EQ(number(database, "PRAGMA synchronous"), 1) << "NORMAL";
  EXPECT_EQ(number(database, "PRAGMA busy_timeout"), 5000);
  ASSERT_TRUE(database.execute("CREATE TABLE t (a)"));
  EXPECT_EQ(mode(file.string() + "-wal"), 0600u);
  EXPECT_TRUE(database.check());
  DatabaseOptions options;
  options.durability = Durability::power;
  Database careful = open(options);
  EXPECT_EQ(number(careful, "PRAGMA synchronous"), 2) << "FULL";
}

TEST_F(DatabaseTest, ValuesComeBackAsTheyWere) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, n)"));
  const std::string text = std::string("nul\0'; DROP TABLE t; --", 23) + "\xf0\x9f\x8c\x8d";
  const std::array<std::uint8_t, 3> blob{0, 255, 7};
  auto insert = database.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)");
  ASSERT_TRUE(insert);
  insert->bind(1, std::numeric_limits<std::int64_t>::min()).bind(2, 0.1).bind(3, text);
  ASSERT_TRUE(insert->bind(4, blob).bind_null(5).run());
  insert->bind(1, std::int64_t{7}).bind(2, -1e300).bind(3, std::string_view());
  ASSERT_TRUE(insert->bind(4, std::span<const std::uint8_t>()).bind(5, "x").run());
  EXPECT_EQ(database.changes(), 1);

  auto select = database.prepare("SELECT i, r, s, b, n FROM t ORDER BY i");
  ASSERT_TRUE(select);
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->integer(0), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(select->real(1), 0.1);
  EXPECT_EQ(select->text(2), text);
  EXPECT_TRUE(std::ranges::equal(select->blob(3), std::as_bytes(std::span(blob))));
  EXPECT_TRUE(select->is_null(4));
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->integer(0), 7);
  EXPECT_EQ(select->real(1), -1e300);
  EXPECT_EQ(select->text(2), "");
  EXPECT_FALSE(select->is_null(2)) << "an empty text is a text";
  EXPECT_FALSE(select->is_null(3));
  EXPECT_EQ(select->text(4), "x");
  EXPECT_FALSE(*select->step());
  EXPECT_TRUE(*select->step()) << "after the end it begins again";
}

TEST_F(DatabaseTest, StatementsKeepTheHandle) {
  std::optional<Database> database(open());
  ASSERT_TRUE(database->execute("CREATE TABLE t (a); INSERT INTO t VALUES (5)"));
  auto select = database->prepare("SELECT a FROM t");
  ASSERT_TRUE(select);
  database.reset();
  Statement moved(std::move(*select));
  ASSERT_TRUE(*moved.step());
  EXPECT_EQ(moved.integer(0), 5);
}

TEST_F(DatabaseTest, ATransactionIsAllOrNothing) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a)"));
  {
    auto transaction = Transaction::begin(database);
    ASSERT_TRUE(transaction);
    EXPECT_TRUE(database.in_transaction());
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  }
  EXPECT_FALSE(database.in_transaction());
  EXPECT_EQ(number(database, "SELECT count(*) FROM t"), 0);
  auto transaction = Transaction::begin(database);
  ASSERT_TRUE(transaction);
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  ASSERT_TRUE(transaction->commit());
  Database other = open();
  EXPECT_EQ(number(other, "SELECT count(*) FROM t"), 1);
}

TEST_F(DatabaseTest, ALockedFileIsUnavailableAfterTheTimeout) {
  Database holder = open();
  DatabaseOptions options;
  options.busy_timeout = std::chrono::milliseconds(1);
  Database other = open(options);
  const auto held = Transaction::begin(holder);
  ASSERT_TRUE(held);
  const auto refused = Transaction::begin(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr(file.string()), HasSubstr("locked"), HasSubstr("another program")));
}

TEST_F(DatabaseTest, ErrorsOfSqlAndOfBinding) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID"));
  const auto wrong = database.prepare("SELEC 1");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::internal);
  auto insert = database.prepare("INSERT INTO t VALUES (?)");
  ASSERT_TRUE(insert);
  ASSERT_TRUE(insert->bind(1, "a").run());
  const auto twice = insert->bind(1, "a").run();
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::conflict);
  ASSERT_TRUE(insert->bind(1, "b").run()) << "it may be used again after an error";
  const auto place = insert->bind(2, "x").run();
  ASSERT_FALSE(place);
  EXPECT_THAT(place.error().message, HasSubstr("bind a value"));
  ASSERT_TRUE(insert->bind(1, "c").run());
}

TEST_F(DatabaseTest, AFullDiskIsAnErrorAndLosesNothingElse) {
  DatabaseOptions options;
  options.pages_max = 8;
  Database database = open(options);
  ASSERT_TRUE(database.execute("CREATE TABLE t (a); INSERT INTO t VALUES ('kept')"));
  auto transaction = Transaction::begin(database);
  ASSERT_TRUE(transaction);
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES ('small')"));
  const auto full = database.execute("INSERT INTO t VALUES (zeroblob(100000))");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::unavailable);
  EXPECT_THAT(full.error().message, AllOf(HasSubstr(file.string()), HasSubstr("make room")));
  transaction->commit();
  EXPECT_FALSE(database.in_transaction());
  EXPECT_EQ(text(database, "SELECT a FROM t LIMIT 1"), "kept");
  EXPECT_TRUE(database.check());
}

std::string open_error(const std::filesystem::path& path) {
  DatabaseOptions options;
  options.file = path;
  const auto database = Database::open(options);
  if (database) return "it was opened";
  EXPECT_EQ(database.error().code, ErrorCode::unavailable);
  EXPECT_THAT(database.error().message, HasSubstr(path.string()));
  return database.error().message;
}

TEST_F(DatabaseTest, AFileThatIsNoDatabaseIsLeftAsItIs) {
  const auto path = folder.path() / "letter.txt";
  const std::string letter(5000, 'x');
  std::ofstream(path) << letter;
  EXPECT_THAT(open_error(path), HasSubstr("no SQLite database"));
  std::ifstream stream(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), letter);
}

TEST_F(DatabaseTest, ADamagedFileIsTold) {
  {
    Database database = open();
    ASSERT_TRUE(
        database.execute("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000));"
                         "PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(4096);
  stream << std::string(4096, '\xff');
  stream.close();
  Database database = open();
  const auto checked = database.check();
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("damaged"));
  const auto written = database.execute("INSERT INTO t VALUES (1)");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("damaged"));
}

TEST_F(DatabaseTest, AFolderThatCannotBeWrittenIsTold) {
  EXPECT_THAT(open_error(folder.path()), HasSubstr("cannot open it"));  // a folder is no file
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THAT(open_error(folder.path() / "file" / "inner.sqlite"), HasSubstr("cannot open it"));
  DatabaseOptions options;
  options.file = "/proc/deepseek/state.sqlite";  // no user, root included, can make folders there
  const auto database = Database::open(options);
  ASSERT_FALSE(database);
  EXPECT_THAT(database.error().message,
              AllOf(HasSubstr("/proc/deepseek"), HasSubstr("make the folder")));
}

}  // namespace
}  // namespace deepseek::storage
