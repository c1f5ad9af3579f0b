#include "ledger/usage_sums.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace deepseek::ledger {
namespace {

UsageEntry entry(std::string tenant, std::string backend = "b", std::string model = "m") {
  UsageEntry made;
  made.tenant = std::move(tenant);
  made.backend = std::move(backend);
  made.model_upstream = std::move(model);
  made.model_asked = "alias";
  made.time_ms = 5 * hour_ms + 17;
  made.usage = {10, 5, 4, 2};
  made.cost_nano = 1000;
  made.currency = "USD";
  return made;
}

void add(UsageSums& sums, const UsageEntry& one) {
  sums.add(UsageKeyView(one), totals_of(one));
}

TEST(UsageSums, AddsWhatBelongsTogether) {
  UsageSums sums(100);
  EXPECT_TRUE(sums.empty());
  UsageEntry failed = entry("a");
  failed.outcome = AttemptOutcome::failed;
  UsageEntry cached = entry("a");
  cached.cached = true;
  UsageEntry later = entry("a");
  later.time_ms += hour_ms;
  for (const UsageEntry& one : {entry("a"), failed, cached, later, entry("b")}) add(sums, one);
  ASSERT_EQ(sums.size(), 3u);
  const auto& [key, totals] = *sums.sums().begin();
  EXPECT_EQ(key, (UsageKey{5, "a", "b", "m", "USD"}));
  UsageTotals expected;
  expected.attempts = 3;
  expected.answered = 2;
  expected.failed = 1;
  expected.cached = 1;
  expected.prompt_tokens = 30;
  expected.completion_tokens = 15;
  expected.cache_hit_tokens = 12;
  expected.reasoning_tokens = 6;
  expected.cost_nano = 3000;
  EXPECT_EQ(totals, expected);
}

TEST(UsageSums, WithoutAnUpstreamNameTheAskedOneCounts) {
  EXPECT_EQ(UsageKeyView(entry("a", "b", "")).model, "alias");
  EXPECT_EQ(UsageKeyView(entry("a", "b", "m")).model, "m");
}

TEST(UsageSums, EveryAttemptCountsAsOneThing) {
  const auto totals = [](AttemptOutcome outcome) {
    UsageEntry one = entry("a");
    one.outcome = outcome;
    return totals_of(one);
  };
  EXPECT_EQ(totals(AttemptOutcome::ok).answered, 1);
  EXPECT_EQ(totals(AttemptOutcome::continued).failed, 1);
  for (const auto outcome :
       {AttemptOutcome::cancelled, AttemptOutcome::hedge_lost, AttemptOutcome::shadow}) {
    EXPECT_EQ(totals(outcome).attempts, 1);
    EXPECT_EQ(totals(outcome).answered, 0);
    EXPECT_EQ(totals(outcome).failed, 0);
  }
}

// Class 15 of the attacks: an upstream that reports less than nothing credits nobody, and one that
// reports absurd numbers does not make a sum small again.
TEST(UsageSumsSecurity, Class15SumsNeverFallAndNeverOverflow) {
  UsageSums sums(100);
  UsageEntry absurd = entry("a");
  absurd.usage.prompt_tokens = std::numeric_limits<std::int64_t>::max();
  absurd.usage.completion_tokens = std::numeric_limits<std::int64_t>::min();
  absurd.cost_nano = -5;
  add(sums, absurd);
  add(sums, absurd);
  add(sums, entry("a"));
  const UsageTotals& totals = sums.sums().begin()->second;
  EXPECT_EQ(totals.prompt_tokens, sum_max);
  EXPECT_EQ(totals.completion_tokens, 5);
  EXPECT_EQ(totals.cost_nano, 1000);
}

TEST(UsageSums, AreBoundedAndStillComplete) {
  UsageSums sums(10);
  for (int i = 0; i < 1000; ++i) {
    add(sums, entry("t" + std::to_string(i % 100), "b" + std::to_string(i)));
  }
  EXPECT_LE(sums.size(), 21u);
  UsageTotals all;
  for (const auto& [key, totals] : sums.sums()) all += totals;
  EXPECT_EQ(all.attempts, 1000);
  EXPECT_EQ(all.prompt_tokens, 10'000);
}

TEST(UsageEntry, NamesAreTold) {
  EXPECT_EQ(to_string(CountedBy::estimated), "estimated");
  EXPECT_EQ(to_string(AttemptOutcome::hedge_lost), "hedge_lost");
  EXPECT_EQ(to_string(static_cast<AttemptOutcome>(99)), "unknown");
}

}  // namespace
}  // namespace deepseek::ledger
