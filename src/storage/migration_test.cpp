#include "storage/migration.hpp"

#include "storage/test_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <array>
#include <vector>

namespace deepseek::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Steps = std::vector<std::string_view>;

struct MigrationTest : testing::Test {
  MigrationTest() {
    auto opened = Database::open({.file = folder.path() / "state.sqlite"});
    if (!opened) throw std::runtime_error(opened.error().message);
    database.emplace(std::move(*opened));
  }
  bool has(const std::string& column, const std::string& table) {
    return database->prepare("SELECT " + column + " FROM " + table).has_value();
  }

  TestFolder folder;
  std::optional<Database> database;
};

constexpr std::string_view first = "CREATE TABLE a (x INTEGER); CREATE TABLE b (y INTEGER)";
constexpr std::string_view second = "ALTER TABLE a ADD COLUMN z TEXT NOT NULL DEFAULT ''";

TEST_F(MigrationTest, RunsEachStepOnce) {
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first}));
  EXPECT_TRUE(has("x", "a") && has("y", "b"));
  EXPECT_FALSE(has("z", "a"));
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first})) << "again: CREATE would fail";
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first, second}));
  EXPECT_TRUE(has("z", "a"));
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first, second}));
}

TEST_F(MigrationTest, RoomsDoNotCountEachOthersSteps) {
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first, second}));
  ASSERT_TRUE(migrate(*database, "cache", Steps{"CREATE TABLE c (x)"}));
  EXPECT_TRUE(has("x", "c"));
}

TEST_F(MigrationTest, ANewerFileIsRefused) {
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first, second}));
  const auto refused = migrate(*database, "ledger", Steps{first});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("state.sqlite"), HasSubstr("ledger have version 2"),
                    HasSubstr("knows 1"), HasSubstr("newer program")));
  EXPECT_FALSE(database->in_transaction());
}

TEST_F(MigrationTest, AFailedStepChangesNothing) {
  const auto failed = migrate(*database, "ledger", Steps{first, "CREATE TABLE a (again)"});
  ASSERT_FALSE(failed);
  EXPECT_FALSE(database->in_transaction());
  EXPECT_FALSE(has("x", "a"));
  ASSERT_TRUE(migrate(*database, "ledger", Steps{first, second}));
  EXPECT_TRUE(has("z", "a"));
}

}  // namespace
}  // namespace deepseek::storage
