#include "ledger/usage_ledger.hpp"

#include "base/clock.hpp"
#include "ledger/test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <thread>

namespace deepseek::ledger {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto patience = 30s;

struct UsageLedgerTest : testing::Test {
  UsageLedgerTest() { options.keep = 0h; }  // the entries of these tests are of 1970
  std::unique_ptr<UsageLedger> open() {
    options.database = file.options();
    auto ledger = UsageLedger::open(options, {});
    if (!ledger) throw std::runtime_error(ledger.error().message);
    return std::move(*ledger);
  }
  // Until the writer has come to a state that health() tells.
  template <class Condition>
  static bool reached(const UsageLedger& ledger, Condition condition) {
    const auto end = base::now() + patience;
    while (!condition(ledger.health())) {
      if (base::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  LedgerFile file;
  LedgerOptions options;
};

TEST_F(UsageLedgerTest, WhatIsRecordedIsOnTheDiskAfterTheFlushTime) {
  options.flush = 1ms;
  const auto ledger = open();
  ledger->record(test_entry("req-1"));
  EXPECT_TRUE(reached(*ledger, [](const LedgerHealth& health) { return health.written == 1; }));
  auto repository = file.open();
  EXPECT_EQ(repository.latest(10)->at(0).request_id, "req-1");
  EXPECT_EQ(ledger->health().waiting, 0u);
  EXPECT_TRUE(ledger->health().ok);
}

TEST_F(UsageLedgerTest, ManyEntriesDoNotWaitForTheFlushTime) {
  options.flush = 1h;
  options.flush_entries = 10;
  const auto ledger = open();
  for (int i = 0; i < 9; ++i) ledger->record(test_entry("req"));
  EXPECT_EQ(ledger->health().waiting, 9u);
  ledger->record(test_entry("req"));
  EXPECT_TRUE(reached(*ledger, [](const LedgerHealth& health) { return health.written == 10; }));
}

TEST_F(UsageLedgerTest, AStopWritesWhatWaits) {
  options.flush = 1h;
  auto ledger = open();
  for (int i = 0; i < 1000; ++i) ledger->record(test_entry("req"));
  EXPECT_TRUE(ledger->flush(patience));
  EXPECT_EQ(file.totals().attempts, 1000);
  for (int i = 0; i < 500; ++i) ledger->record(test_entry("req"));
  ledger->stop();
  EXPECT_EQ(file.totals().attempts, 1500);
  ledger->record(test_entry("late"));
  EXPECT_EQ(ledger->health().lost, 1u);
  EXPECT_EQ(ledger->health().waiting, 0u);
  ledger.reset();
  EXPECT_EQ(file.totals().attempts, 1500);
}

TEST_F(UsageLedgerTest, WhenTheDiskFailsEntriesWaitAndTheSumsStayTrue) {
  options.flush = 1ms;
  options.queue_max = 10;
  options.retry_min = 1ms;
  const auto ledger = open();
  {
    auto other = storage::Database::open(file.options());
    ASSERT_TRUE(other);
    const auto held = storage::Transaction::begin(*other);
    ASSERT_TRUE(held);
    for (int i = 0; i < 25; ++i) ledger->record(test_entry("req"));
    EXPECT_TRUE(reached(*ledger, [](const LedgerHealth& health) { return health.failures > 2; }));
    const LedgerHealth health = ledger->health();
    EXPECT_FALSE(health.ok);
    EXPECT_THAT(health.error, HasSubstr("ledger.sqlite"));
    EXPECT_EQ(health.waiting, 25u);
    EXPECT_EQ(health.details_lost, 15u);
    EXPECT_FALSE(ledger->flush(0ms));
  }
  EXPECT_TRUE(ledger->flush(patience));
  EXPECT_TRUE(ledger->health().ok);
  EXPECT_EQ(ledger->health().error, "");
  EXPECT_EQ(ledger->health().written, 10u);
  const UsageTotals totals = file.totals();
  EXPECT_EQ(totals.attempts, 25);
  EXPECT_EQ(totals.details_lost, 15);
  EXPECT_EQ(totals.cost_nano, 25'000);
  auto repository = file.open();
  EXPECT_EQ(repository.latest(100)->size(), 10u);
}

TEST_F(UsageLedgerTest, AStopEndsThoughTheDiskFails) {
  options.retry_min = 1ms;
  options.stop_limit = 20ms;
  const auto ledger = open();
  auto other = storage::Database::open(file.options());
  ASSERT_TRUE(other);
  const auto held = storage::Transaction::begin(*other);
  ASSERT_TRUE(held);
  for (int i = 0; i < 5; ++i) ledger->record(test_entry("req"));
  ledger->stop();
  EXPECT_EQ(ledger->health().lost, 5u);
  EXPECT_FALSE(ledger->health().ok);
}

TEST_F(UsageLedgerTest, AFileThatCannotBeUsedIsAnErrorOfTheStart) {
  options.database.file = file.folder.path();
  const auto ledger = UsageLedger::open(options, {});
  ASSERT_FALSE(ledger);
  EXPECT_THAT(ledger.error().message, HasSubstr(file.folder.path().string()));
}

TEST_F(UsageLedgerTest, OldRowsAreRemoved) {
  options.flush = 1ms;
  options.keep = 1h;
  const auto ledger = open();
  UsageEntry fresh = test_entry("fresh");
  fresh.time_ms = base::unix_milliseconds();
  ledger->record(test_entry("old"));
  ledger->record(fresh);
  EXPECT_TRUE(ledger->flush(patience));
  ledger->stop();
  auto repository = file.open();
  const auto rows = repository.latest(10);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->at(0).request_id, "fresh");
  EXPECT_EQ(file.totals().attempts, 2);
}

TEST_F(UsageLedgerTest, ThreadsRecordTogether) {
  options.flush = 1ms;
  const auto ledger = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&ledger, t] {
      for (int i = 0; i < 3000; ++i) ledger->record(test_entry("req", "t" + std::to_string(t)));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(ledger->flush(patience));
  EXPECT_EQ(ledger->health().written, 12'000u);
  EXPECT_EQ(file.totals().attempts, 12'000);
}

// The child: records without an end, and tells the time of each record.
[[noreturn]] void record_until_killed(const LedgerOptions& options, int out) {
  auto ledger = UsageLedger::open(options, {});
  if (!ledger) ::_exit(1);
  for (int i = 0;; ++i) {
    UsageEntry entry = test_entry("req-" + std::to_string(i));
    entry.time_ms = base::unix_milliseconds();
    const std::int64_t time_ms = entry.time_ms;
    (*ledger)->record(std::move(entry));
    if (::write(out, &time_ms, sizeof time_ms) != sizeof time_ms) ::_exit(2);
    ::poll(nullptr, 0, 1);
  }
}

TEST_F(UsageLedgerTest, KillLosesAtMostTheFlushTime) {
  constexpr std::int64_t margin_ms = 1000;  // for one write on a busy machine
  options.database = file.options();
  options.flush = 50ms;
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) record_until_killed(options, pipe[1]);
  ::close(pipe[1]);
  std::vector<std::int64_t> recorded;
  std::int64_t time_ms = 0;
  while (::read(pipe[0], &time_ms, sizeof time_ms) == sizeof time_ms) {
    recorded.push_back(time_ms);
    if (recorded.back() - recorded.front() > margin_ms + 500) break;
  }
  const std::int64_t killed_ms = base::unix_milliseconds();
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(pipe[0]);
  ASSERT_TRUE(WIFSIGNALED(status)) << "status " << status;

  auto repository = file.open();
  const auto rows = repository.latest(1'000'000);
  ASSERT_TRUE(rows) << rows.error().message;
  const auto must_be_there = std::ranges::count_if(recorded, [&](std::int64_t time) {
    return time < killed_ms - options.flush.count() - margin_ms;
  });
  EXPECT_GT(must_be_there, 10);
  EXPECT_GE(static_cast<std::int64_t>(rows->size()), must_be_there);
  EXPECT_EQ(file.totals().attempts, static_cast<std::int64_t>(rows->size()))
      << "rows and sums are of one transaction";
  for (std::size_t i = 0; i < rows->size(); ++i) {
    EXPECT_EQ(rows->at(rows->size() - 1 - i).request_id, "req-" + std::to_string(i));
  }
}

}  // namespace
}  // namespace deepseek::ledger
