#include "gateway/resilience/retry_budget.hpp"

#include <gtest/gtest.h>
#include <utility>
#include <vector>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

TEST(SlidingCounts, ForgetsAfterTheWindowAndNotBefore) {
  SlidingCounts<1> counts(Milliseconds(12'000));
  base::TimePoint now{Milliseconds(500)};
  counts.add(0, now);
  EXPECT_EQ(counts.total(0, now + Milliseconds(11'000)), 1u);
  EXPECT_EQ(counts.total(0, now + Milliseconds(12'500)), 0u);
  counts.add(0, now + Milliseconds(13'000));
  counts.add(0, now);  // late, counted as newest
  EXPECT_EQ(counts.total(0, now + Milliseconds(13'000)), 2u);
  EXPECT_EQ(counts.total(0, now + Milliseconds(3'600'000)), 0u);
}

TEST(SlidingCounts, AgreesWithARecountWhateverTheTimes) {
  SlidingCounts<2> counts(Milliseconds(1'200));
  std::vector<std::pair<std::int64_t, std::size_t>> events;
  std::uint64_t state = 1;
  std::int64_t now = 1'000'000;
  for (int i = 0; i < 2'000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    now += static_cast<std::int64_t>((state >> 33) % (i % 50 == 0 ? 3'000 : 40));
    const std::size_t kind = (state >> 60) & 1;
    counts.add(kind, base::TimePoint(Milliseconds(now)));
    events.emplace_back(now, kind);
    const std::int64_t oldest = now / 100 - 11;  // the twelve slots of 100 ms that are kept
    std::uint64_t expected = 0;
    for (const auto& [time, what] : events) expected += time / 100 >= oldest && what == kind;
    ASSERT_EQ(counts.total(kind, base::TimePoint(Milliseconds(now))), expected) << i;
  }
}

TEST(RetryBudget, AQuietServerMayRetry) {
  RetryBudget budget({.percent = 20, .per_second_min = 3, .window = Milliseconds(10'000)});
  const base::TimePoint now{Milliseconds(1)};
  int granted = 0;
  for (int i = 0; i < 100; ++i) granted += budget.take(now);
  EXPECT_EQ(granted, 30);
  EXPECT_EQ(budget.left(now), 0u);
  EXPECT_EQ(budget.left(now + Milliseconds(10'000)), 30u) << "the window moves on";
}

TEST(RetryBudget, ABusyServerRetriesAShare) {
  RetryBudget budget({.percent = 20, .per_second_min = 0, .window = Milliseconds(10'000)});
  base::TimePoint now{Milliseconds(1)};
  int granted = 0;
  for (int i = 0; i < 100'000; ++i) {  // an outage: every request fails and wants five retries
    now += Milliseconds(1);
    budget.requested(now);
    for (int retry = 0; retry < 5; ++retry) granted += budget.take(now);
  }
  EXPECT_LE(granted, 22'000);
  EXPECT_GE(granted, 18'000);
}

TEST(RetryBudget, NoneAtAll) {
  RetryBudget budget({.percent = 0, .per_second_min = 0});
  budget.requested({});
  EXPECT_FALSE(budget.take({}));
}

}  // namespace
}  // namespace deepseek::gateway
