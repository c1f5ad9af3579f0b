#include "gateway/attempt_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;
using base::Milliseconds;
using base::TimePoint;
using ::testing::HasSubstr;
using Kind = AttemptPlan::Step::Kind;

const TimePoint start = TimePoint{} + std::chrono::hours(1);

PlanOptions exact() {
  PlanOptions options;
  options.retry.jitter = 0;
  return options;
}

AttemptPlan::Failed failed(std::size_t candidate, FailureKind kind, std::string words = "broke") {
  AttemptPlan::Failed failed;
  failed.candidate = candidate;
  failed.failure.kind = kind;
  failed.error = base::make_error(ErrorCode::upstream_failed, std::move(words));
  return failed;
}

TEST(AttemptPlan, TriesTheOthersAtOnce) {
  AttemptPlan plan(exact(), 3, TimePoint::max());
  EXPECT_EQ(plan.next(start).kind, Kind::choose);
  EXPECT_EQ(plan.next(start).excluded, 0u);
  plan.started(1);
  plan.failed(failed(1, FailureKind::status_502_503_504), start);
  const auto step = plan.next(start);
  EXPECT_EQ(step.kind, Kind::choose);
  EXPECT_EQ(step.excluded, 0b010u);
  EXPECT_FALSE(step.again);
}

TEST(AttemptPlan, RestsBeforeItAsksTheSameAgain) {
  AttemptPlan plan(exact(), 1, TimePoint::max());
  plan.started(0);
  plan.failed(failed(0, FailureKind::status_502_503_504), start);
  plan.none_usable({}, start);
  auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::wait);
  EXPECT_EQ(step.until, start + Milliseconds(50));
  step = plan.next(step.until);
  EXPECT_EQ(step.kind, Kind::choose);
  EXPECT_EQ(step.excluded, 0u);
  EXPECT_TRUE(step.again);
  plan.started(0);
  plan.failed(failed(0, FailureKind::status_502_503_504), step.until);
  plan.none_usable({}, start);
  EXPECT_EQ(plan.next(start).until, start + Milliseconds(75));
}

TEST(AttemptPlan, AMistakeOfTheClientIsTriedNowhereElse) {
  AttemptPlan plan(exact(), 3, TimePoint::max());
  plan.started(0);
  auto mistake = failed(0, FailureKind::status_400_client);
  mistake.error = base::make_error(ErrorCode::invalid_request, "temperature", "temperature");
  plan.failed(mistake, start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->code, ErrorCode::invalid_request);
  EXPECT_EQ(step.error->param, "temperature");
}

TEST(AttemptPlan, ABackendThatCannotHelpIsNotAskedAgain) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  plan.started(0);
  plan.failed(failed(0, FailureKind::status_4xx_ours), start);
  plan.started(1);
  plan.failed(failed(1, FailureKind::status_502_503_504), start);
  plan.none_usable({}, start);
  const auto step = plan.next(start + std::chrono::seconds(1));
  EXPECT_EQ(step.kind, Kind::choose);
  EXPECT_EQ(step.excluded, 0b01u) << "only the one whose key was refused";
}

TEST(AttemptPlan, GivesUpWhenNobodyCanBeAskedAnyMore) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  plan.started(0);
  plan.failed(failed(0, FailureKind::status_4xx_ours, "first"), start);
  plan.started(1);
  plan.failed(failed(1, FailureKind::status_500, "second"), start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->message, "second");
}

TEST(AttemptPlan, MakesNoMoreAttemptsThanAllowed) {
  PlanOptions options = exact();
  options.retry.retries_max = 2;
  AttemptPlan plan(options, 1, TimePoint::max());
  TimePoint now = start;
  int attempts = 0;
  while (plan.next(now).kind != Kind::give_up) {
    const auto step = plan.next(now);
    if (step.kind == Kind::wait) {
      now = step.until;
      continue;
    }
    if (!step.again && attempts > 0) {
      plan.none_usable({}, now);
      continue;
    }
    ++attempts;
    plan.started(0);
    plan.failed(failed(0, FailureKind::broken), now);
    if (plan.next(now).kind != Kind::give_up) plan.none_usable({}, now);
  }
  EXPECT_EQ(attempts, 3);
}

TEST(AttemptPlan, WaitsAsLongAsABackendAskedFor) {
  AttemptPlan plan(exact(), 1, TimePoint::max());
  plan.started(0);
  plan.failed(failed(0, FailureKind::status_429), start);
  plan.none_usable({.back_at = start + Milliseconds(1'500)}, start);
  EXPECT_GE(plan.next(start).until, start + Milliseconds(1'500));
  EXPECT_LE(plan.next(start).until, start + Milliseconds(1'600));
}

TEST(AttemptPlan, ALongPauseIsTheClients) {
  AttemptPlan plan(exact(), 1, TimePoint::max());
  plan.started(0);
  auto limited = failed(0, FailureKind::status_429);
  limited.error = base::make_error(ErrorCode::rate_limited, "too many");
  plan.failed(limited, start);
  plan.none_usable({.back_at = start + std::chrono::minutes(2)}, start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->code, ErrorCode::rate_limited);
  ASSERT_TRUE(step.error->retry_after);
  EXPECT_GE(*step.error->retry_after, Milliseconds(120'000));
}

TEST(AttemptPlan, ASpentBudgetEndsRetriesButNotFailover) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  plan.started(0);
  plan.failed(failed(0, FailureKind::broken), start);
  EXPECT_EQ(plan.next(start).kind, Kind::choose) << "another backend costs no budget";
  plan.started(1);
  plan.failed(failed(1, FailureKind::broken), start);
  plan.none_usable({.retries_allowed = false}, start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_THAT(step.error->message, HasSubstr("retry.budget_percent"));
}

TEST(AttemptPlan, NothingGoesOnBehindTheDeadline) {
  AttemptPlan plan(exact(), 1, start + Milliseconds(100));
  EXPECT_EQ(plan.next(start).kind, Kind::choose);
  const auto step = plan.next(start + Milliseconds(100));
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->code, ErrorCode::deadline_exceeded);
}

TEST(AttemptPlan, TextThatCannotBeContinuedIsAnHonestError) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  plan.started(0);
  auto broken = failed(0, FailureKind::broken, "reset");
  broken.spoken = true;
  broken.cannot_continue = "a tool call had begun";
  plan.failed(broken, start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->code, ErrorCode::upstream_failed);
  EXPECT_THAT(step.error->message, HasSubstr("a tool call had begun"));
  EXPECT_THAT(step.error->message, HasSubstr("reset"));
}

TEST(AttemptPlan, ContinuationsAreBounded) {
  PlanOptions options = exact();
  options.continuations_max = 1;
  AttemptPlan plan(options, 4, TimePoint::max());
  for (std::size_t candidate = 0; candidate < 2; ++candidate) {
    plan.started(candidate);
    auto broken = failed(candidate, FailureKind::broken);
    broken.spoken = broken.said = true;
    plan.failed(broken, start);
    EXPECT_EQ(plan.next(start).kind, candidate == 0 ? Kind::choose : Kind::give_up);
  }
}

TEST(AttemptPlan, AContinuationThatSaysNothingIsARetry) {
  PlanOptions options = exact();
  options.continuations_max = 1;
  options.retry.retries_max = 3;
  AttemptPlan plan(options, 8, TimePoint::max());
  plan.started(0);
  auto broken = failed(0, FailureKind::broken);
  broken.spoken = broken.said = true;
  plan.failed(broken, start);
  broken.said = false;
  for (std::size_t candidate = 1; candidate <= 2; ++candidate) {
    ASSERT_EQ(plan.next(start).kind, Kind::choose);
    plan.started(candidate);
    broken.candidate = candidate;
    plan.failed(broken, start);
  }
  EXPECT_EQ(plan.next(start).kind, Kind::choose);
  plan.started(3);
  broken.candidate = 3;
  plan.failed(broken, start);
  EXPECT_EQ(plan.next(start).kind, Kind::give_up) << "retries are bounded too";
}

TEST(AttemptPlan, WhatWentOnMayBeRetriedAsOftenAsAFirstAttempt) {
  PlanOptions options = exact();
  options.continuations_max = 9;
  options.retry.retries_max = 1;
  AttemptPlan plan(options, 8, TimePoint::max());
  for (std::size_t candidate = 0; candidate < 5; ++candidate) {
    ASSERT_EQ(plan.next(start).kind, Kind::choose) << candidate;
    plan.started(candidate);
    auto broken = failed(candidate, FailureKind::broken);
    broken.spoken = broken.said = true;
    plan.failed(broken, start);
  }
}

TEST(AttemptPlan, WithNobodyInOrderItSaysWhy) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  AttemptPlan::NoneUsable why;
  why.back_at = start + std::chrono::minutes(5);
  why.reason = base::make_error(ErrorCode::unavailable, "first is cooling down");
  plan.none_usable(why, start);
  const auto step = plan.next(start);
  ASSERT_EQ(step.kind, Kind::give_up);
  EXPECT_EQ(step.error->message, "first is cooling down");
}

TEST(AttemptPlan, HedgesOnceAndNotBehindText) {
  AttemptPlan plan(exact(), 3, TimePoint::max());
  plan.started(0);
  EXPECT_TRUE(plan.may_hedge());
  plan.hedged();
  plan.started(1);
  EXPECT_FALSE(plan.may_hedge());
  AttemptPlan spoken(exact(), 3, TimePoint::max());
  spoken.started(0);
  AttemptPlan::Failed broken = failed(0, FailureKind::broken);
  broken.spoken = true;
  spoken.failed(broken, start);
  spoken.started(1);
  EXPECT_FALSE(spoken.may_hedge());
}

TEST(AttemptPlan, AHedgeIsAnAttempt) {
  PlanOptions options = exact();
  options.retry.retries_max = 0;
  AttemptPlan plan(options, 2, TimePoint::max());
  plan.started(0);
  EXPECT_FALSE(plan.may_hedge()) << "one attempt is all there is";
}

TEST(AttemptPlan, WhileAnotherRunsOnlyTheClientsMistakeEndsIt) {
  PlanOptions options = exact();
  options.retry.retries_max = 1;
  AttemptPlan plan(options, 2, TimePoint::max());
  plan.started(0);
  plan.hedged();
  plan.started(1);
  plan.failed(failed(0, FailureKind::status_500), start);
  EXPECT_EQ(plan.next(start).kind, Kind::choose) << "the other may still answer";
  plan.failed(failed(1, FailureKind::status_500, "both broke"), start);
  ASSERT_EQ(plan.next(start).kind, Kind::give_up);
  EXPECT_EQ(plan.next(start).error->message, "both broke");
  AttemptPlan mistaken(options, 2, TimePoint::max());
  mistaken.started(0);
  mistaken.started(1);
  mistaken.failed(failed(1, FailureKind::status_400_client), start);
  EXPECT_EQ(mistaken.next(start).kind, Kind::give_up);
}

TEST(AttemptPlan, ALoserMayBeAskedAgain) {
  AttemptPlan plan(exact(), 2, TimePoint::max());
  plan.started(0);
  plan.hedged();
  plan.started(1);
  plan.lost(0);
  plan.failed(failed(1, FailureKind::broken), start);
  EXPECT_EQ(plan.next(start).excluded, 0b10u);
}

}  // namespace
}  // namespace deepseek::gateway
