#include "ledger/usage_repository.hpp"

#include "ledger/test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::ledger {
namespace {

using testing::HasSubstr;

struct UsageRepositoryTest : testing::Test {
  base::Result<void> write(std::vector<UsageEntry> entries) {
    UsageBatch batch;
    batch.number = ++number;
    batch.entries.push_back(std::move(entries));
    return repository.write(batch);
  }
  std::vector<UsageRow> totals(const UsageQuery& query) {
    auto rows = repository.totals(query);
    EXPECT_TRUE(rows) << rows.error().message;
    return std::move(*rows);
  }

  LedgerFile file;
  UsageRepository repository = file.open();
  std::int64_t number = 0;
};

TEST_F(UsageRepositoryTest, RowsHoldWhatWasRecorded) {
  UsageEntry first = test_entry("req-1");
  UsageEntry second = test_entry("req-2", "'; DROP TABLE usage_hours; --", std::string("\0x", 2));
  second.attempt = 3;
  second.counted_by = CountedBy::estimated;
  second.outcome = AttemptOutcome::hedge_lost;
  second.http_status = 503;
  second.first_token_ms = -1;
  second.cached = true;
  second.usage.prompt_tokens = -7;
  ASSERT_TRUE(write({first, second}));
  const auto rows = repository.latest(10);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  const UsageEntry& read = rows->at(0);
  EXPECT_EQ(read.request_id, "req-2");
  EXPECT_EQ(read.attempt, 3);
  EXPECT_EQ(read.tenant, second.tenant);
  EXPECT_EQ(read.backend, second.backend);
  EXPECT_EQ(read.model_asked, "alias");
  EXPECT_EQ(read.model_upstream, "model");
  EXPECT_EQ(read.endpoint, "chat");
  EXPECT_EQ(read.time_ms, second.time_ms);
  EXPECT_EQ(read.usage, (protocol::Usage{0, 5, 4, 2})) << "less than nothing is nothing";
  EXPECT_EQ(read.counted_by, CountedBy::estimated);
  EXPECT_EQ(read.outcome, AttemptOutcome::hedge_lost);
  EXPECT_EQ(read.http_status, 503);
  EXPECT_EQ(read.duration_ms, 120);
  EXPECT_EQ(read.first_token_ms, -1);
  EXPECT_EQ(read.cost_nano, 1000);
  EXPECT_EQ(read.currency, "USD");
  EXPECT_TRUE(read.cached);
  EXPECT_EQ(rows->at(1).first_token_ms, 30);
  EXPECT_EQ(repository.latest(1)->size(), 1u);
}

TEST_F(UsageRepositoryTest, EveryRowOfALargeBatchIsItsOwn) {
  std::vector<UsageEntry> entries;
  for (int i = 0; i < 37; ++i) {
    entries.push_back(test_entry("req-" + std::to_string(i), "t" + std::to_string(i % 5)));
    entries.back().usage.prompt_tokens = i;
    entries.back().first_token_ms = i % 2 == 0 ? -1 : i;
  }
  ASSERT_TRUE(write(entries));
  const auto rows = repository.latest(100);
  ASSERT_EQ(rows->size(), entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const UsageEntry& read = rows->at(entries.size() - 1 - i);
    EXPECT_EQ(read.request_id, entries[i].request_id);
    EXPECT_EQ(read.tenant, entries[i].tenant);
    EXPECT_EQ(read.usage, entries[i].usage);
    EXPECT_EQ(read.first_token_ms, entries[i].first_token_ms);
  }
}

TEST_F(UsageRepositoryTest, TotalsTellApartWhatIsAsked) {
  UsageEntry later = test_entry("4", "a", "c");
  later.time_ms += 2 * hour_ms;
  UsageEntry yuan = test_entry("5");
  yuan.currency = "CNY";
  ASSERT_TRUE(write({test_entry("1"), test_entry("2", "z"), later}));
  ASSERT_TRUE(write({test_entry("3"), yuan}));

  const auto all = totals({});
  ASSERT_EQ(all.size(), 2u) << "money of two currencies is never added";
  EXPECT_EQ(all[0].key, (UsageKey{0, "", "", "", "CNY"}));
  EXPECT_EQ(all[1].totals.attempts, 4);
  EXPECT_EQ(all[1].totals.cost_nano, 4000);
  EXPECT_EQ(all[1].totals.prompt_tokens, 40);

  UsageQuery query;
  query.by_tenant = true;
  query.by_backend = true;
  query.by_hour = true;
  query.by_model = true;
  const auto rows = totals(query);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1].key, (UsageKey{10, "a", "b", "model", "USD"}));
  EXPECT_EQ(rows[1].totals.attempts, 2);
  EXPECT_EQ(rows[3].key, (UsageKey{12, "a", "c", "model", "USD"}));

  query = {};
  query.tenant = "z";
  ASSERT_EQ(totals(query).size(), 1u);
  query.backend = "c";
  EXPECT_TRUE(totals(query).empty());
  query = {};
  query.model = "model";
  query.backend = "c";
  EXPECT_EQ(totals(query).at(0).totals.attempts, 1);
}

TEST_F(UsageRepositoryTest, TheTimeCountsInWholeHours) {
  ASSERT_TRUE(write({test_entry("1")}));
  UsageQuery query;
  query.from_ms = 10 * hour_ms;
  query.to_ms = 11 * hour_ms;
  EXPECT_EQ(totals(query).size(), 1u);
  query.from_ms += 1;
  EXPECT_TRUE(totals(query).empty()) << "the hour began before";
  query = {};
  query.to_ms = 10 * hour_ms;
  EXPECT_TRUE(totals(query).empty());
}

TEST_F(UsageRepositoryTest, TooManyRowsAreRefusedNotCut) {
  ASSERT_TRUE(write({test_entry("1", "a"), test_entry("2", "b"), test_entry("3", "c")}));
  UsageQuery query;
  query.by_tenant = true;
  query.rows_max = 2;
  const auto refused = repository.totals(query);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("more than 2 rows"));
  query.by_tenant = false;
  EXPECT_TRUE(repository.totals(query));
}

TEST_F(UsageRepositoryTest, TheSameBatchIsNotWrittenTwice) {
  ASSERT_TRUE(write({test_entry("1")}));
  --number;
  ASSERT_TRUE(write({test_entry("1")}));
  EXPECT_EQ(repository.latest(10)->size(), 1u);
  EXPECT_EQ(totals({}).at(0).totals.attempts, 1);
  UsageRepository after_restart = file.open();
  UsageBatch batch;
  batch.number = 1;
  batch.entries.push_back({test_entry("2")});
  ASSERT_TRUE(after_restart.write(batch)) << "numbers begin again with each process";
  EXPECT_EQ(repository.latest(10)->size(), 2u);
}

TEST_F(UsageRepositoryTest, AFailedBatchLeavesNothingAndMayBeRepeated) {
  {
    auto other = storage::Database::open(file.options());
    ASSERT_TRUE(other);
    const auto held = storage::Transaction::begin(*other);
    ASSERT_TRUE(held);
    const auto failed = write({test_entry("1")});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, base::ErrorCode::unavailable);
  }
  EXPECT_TRUE(repository.latest(10)->empty());
  --number;
  ASSERT_TRUE(write({test_entry("1")}));
  EXPECT_EQ(repository.latest(10)->size(), 1u);
}

TEST_F(UsageRepositoryTest, AFullDiskIsAnErrorAndTheSumsStayTrue) {
  storage::DatabaseOptions options = file.options();
  options.pages_max = 12;
  auto small = UsageRepository::open(options);
  ASSERT_TRUE(small);
  std::int64_t written = 0;
  base::Result<void> done;
  for (std::int64_t i = 1; done && i < 1000; ++i) {
    UsageBatch batch;
    batch.number = i;
    batch.entries.push_back(std::vector<UsageEntry>(10, test_entry("full")));
    done = small->write(batch);
    if (done) written += 10;
  }
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("make room"));
  EXPECT_GT(written, 0);
  EXPECT_EQ(file.totals().attempts, written);
  EXPECT_EQ(repository.latest(1000)->size(), static_cast<std::size_t>(written));
}

TEST_F(UsageRepositoryTest, SumsOfTheFileStopAtTheirEnd) {
  for (int i = 0; i < 3; ++i) {
    UsageBatch batch;
    batch.number = ++number;
    batch.sums_only = UsageSums(10);
    UsageTotals totals;
    totals.attempts = 1;
    totals.details_lost = 1;
    totals.cost_nano = sum_max;
    batch.sums_only.add(UsageKeyView(test_entry("1")), totals);
    ASSERT_TRUE(repository.write(batch));
  }
  const auto rows = totals({});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].totals.cost_nano, sum_max);
  EXPECT_EQ(rows[0].totals.attempts, 3);
  EXPECT_EQ(rows[0].totals.details_lost, 3);
  EXPECT_TRUE(repository.latest(10)->empty());
}

TEST_F(UsageRepositoryTest, OldRowsGoAndTheirSumsStay) {
  std::vector<UsageEntry> entries;
  for (int i = 0; i < 10; ++i) {
    entries.push_back(test_entry(std::to_string(i)));
    entries.back().time_ms = 1000 + i;
  }
  ASSERT_TRUE(write(std::move(entries)));
  EXPECT_EQ(*repository.remove_before(1005, 3), 3);
  EXPECT_EQ(*repository.remove_before(1005, 3), 2);
  EXPECT_EQ(*repository.remove_before(1005, 3), 0);
  const auto rows = repository.latest(10);
  ASSERT_EQ(rows->size(), 5u);
  EXPECT_EQ(rows->back().request_id, "5");
  EXPECT_EQ(totals({}).at(0).totals.attempts, 10);
}

}  // namespace
}  // namespace deepseek::ledger
