#include "engine/scheduler.hpp"

#include "scheduler_simulation.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

using std::chrono::milliseconds;

const base::TimePoint kStart{std::chrono::hours(1)};

SequenceSpec spec(SequenceId id, std::int32_t prompt, std::int32_t tokens_max = 0) {
  SequenceSpec made;
  made.id = id;
  made.prompt.assign(static_cast<std::size_t>(prompt), 7);
  made.tokens_max = tokens_max;
  made.arrival = kStart + milliseconds(id);
  return made;
}

std::vector<Ended> run_step(Scheduler& scheduler, const StepPlan& plan, bool text = true) {
  std::vector<Sampled> sampled;
  for (const Slice& slice : plan.slices) {
    if (slice.wants_logits) sampled.push_back({slice.id, 9, false, text});
  }
  return scheduler.complete(plan, sampled, kStart, milliseconds(10));
}

TEST(Scheduler, DecodesFirstThenSharesThePrefillChunk) {
  SchedulerOptions options;
  options.prefill_chunk = 16;
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 4), kStart).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 10), kStart).has_value());
  ASSERT_TRUE(scheduler.submit(spec(3, 100), kStart).has_value());
  const StepPlan plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.slices.size(), 3U);
  EXPECT_EQ(plan.slices[0].id, 1U);
  EXPECT_EQ(plan.slices[0].size(), 1);
  EXPECT_EQ(plan.slices[1].size(), 10);
  EXPECT_TRUE(plan.slices[1].wants_logits);
  EXPECT_EQ(plan.slices[2].size(), 6);
  EXPECT_FALSE(plan.slices[2].wants_logits);
  EXPECT_EQ(plan.tokens, 17);
}

TEST(Scheduler, PrefillsWithTheWholeBudgetWhenNobodyDecodes) {
  Scheduler scheduler(SchedulerOptions{});
  ASSERT_TRUE(scheduler.submit(spec(1, 1000), kStart).has_value());
  EXPECT_EQ(scheduler.plan(kStart).tokens, 512);
}

TEST(Scheduler, RefusesAtOnceWhatCannotFitWithBothNumbers) {
  Scheduler scheduler(SchedulerOptions{});
  const auto refused = scheduler.submit(spec(1, 8192), kStart);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::context_length);
  EXPECT_NE(refused.error().message.find("8192 tokens; this model takes at most 8192"),
            std::string::npos);
  EXPECT_EQ(refused.error().param, "prompt");
  EXPECT_EQ(scheduler.submit(spec(2, 0), kStart).error().code, base::ErrorCode::invalid_request);
}

TEST(Scheduler, FullQueueNamesItsLimitAndWhenToComeBack) {
  SchedulerOptions options;
  options.queue_max = 1;
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 4), kStart).has_value());
  const auto refused = scheduler.submit(spec(2, 4), kStart);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::queue_full);
  EXPECT_NE(refused.error().message.find("engine.priority_queue_size = 1"), std::string::npos);
  ASSERT_TRUE(refused.error().retry_after.has_value());
  EXPECT_GE(refused.error().retry_after->count(), 1000);
}

TEST(Scheduler, HigherPriorityGoesFirstThenAge) {
  SchedulerOptions options;
  options.sequences_max = 1;
  Scheduler scheduler(options);
  SequenceSpec urgent = spec(3, 4, 1);
  urgent.priority = 1;
  ASSERT_TRUE(scheduler.submit(spec(2, 4, 1), kStart).has_value());
  ASSERT_TRUE(scheduler.submit(spec(1, 4, 1), kStart).has_value());
  ASSERT_TRUE(scheduler.submit(std::move(urgent), kStart).has_value());
  std::vector<SequenceId> order;
  while (!scheduler.idle()) {
    for (const Ended& ended : run_step(scheduler, scheduler.plan(kStart))) {
      order.push_back(ended.id);
    }
  }
  EXPECT_EQ(order, (std::vector<SequenceId>{3, 1, 2}));
}

TEST(Scheduler, PreemptsTheYoungestAndComputesItAgain) {
  SchedulerOptions options;
  options.cells = 64;
  options.context_max = 64;
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 10), kStart).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 10), kStart).has_value());
  std::vector<SequenceId> preempted;
  std::vector<SequenceId> ended;
  for (int step = 0; step < 200 && !scheduler.idle(); ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    preempted.insert(preempted.end(), plan.preempted.begin(), plan.preempted.end());
    for (const Ended& end : run_step(scheduler, plan)) {
      ended.push_back(end.id);
      EXPECT_EQ(end.facts.completion_tokens, 54);
      EXPECT_EQ(end.reason, EndReason::length);
    }
  }
  ASSERT_FALSE(preempted.empty());
  for (const SequenceId id : preempted) EXPECT_EQ(id, 2U);
  EXPECT_EQ(ended, (std::vector<SequenceId>{1, 2}));
  EXPECT_EQ(scheduler.load().cells_used, 0);
}

TEST(Scheduler, PausesWithoutCreditAndResumes) {
  Scheduler scheduler(SchedulerOptions{});
  SequenceSpec metered = spec(1, 4);
  metered.credits = 1;
  ASSERT_TRUE(scheduler.submit(std::move(metered), kStart).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  EXPECT_TRUE(scheduler.plan(kStart).slices.empty());
  EXPECT_EQ(scheduler.load().paused, 1);
  EXPECT_EQ(scheduler.load().cells_used, 4);
  scheduler.add_credit(1, 1);
  EXPECT_EQ(scheduler.plan(kStart).slices.size(), 1U);
}

TEST(Scheduler, APausedSequenceGivesItsPlaceToThoseWhoWait) {
  SchedulerOptions options;
  options.sequences_max = 1;
  Scheduler scheduler(options);
  SequenceSpec metered = spec(1, 4);
  metered.credits = 1;
  ASSERT_TRUE(scheduler.submit(std::move(metered), kStart).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 4), kStart).has_value());
  EXPECT_TRUE(scheduler.plan(kStart).slices.empty());
  ASSERT_TRUE(scheduler.next_wakeup().has_value());
  const StepPlan plan = scheduler.plan(*scheduler.next_wakeup());
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].id, 2U);
  EXPECT_EQ(plan.preempted, std::vector<SequenceId>{1});
}

TEST(Scheduler, DropsWhatWaitedTooLong) {
  SchedulerOptions options;
  options.sequences_max = 1;
  Scheduler scheduler(options);
  SequenceSpec late = spec(2, 4);
  late.deadline = kStart + milliseconds(50);
  ASSERT_TRUE(scheduler.submit(spec(1, 4), kStart).has_value());
  ASSERT_TRUE(scheduler.submit(std::move(late), kStart).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  EXPECT_EQ(scheduler.next_wakeup(), kStart + milliseconds(50));
  EXPECT_EQ(scheduler.plan(kStart + milliseconds(50)).dropped, std::vector<SequenceId>{2});
  EXPECT_FALSE(scheduler.known(2));
}

TEST(Scheduler, AnInterruptedStepKeepsWhatIsInTheCache) {
  Scheduler scheduler(SchedulerOptions{});
  ASSERT_TRUE(scheduler.submit(spec(1, 300), kStart).has_value());
  const StepPlan plan = scheduler.plan(kStart);
  const std::int32_t present = 128;
  scheduler.aborted(plan, {&present, 1});
  const StepPlan next = scheduler.plan(kStart);
  ASSERT_EQ(next.slices.size(), 1U);
  EXPECT_EQ(next.slices[0].begin, 128);
  EXPECT_EQ(next.slices[0].end, 300);
}

TEST(Scheduler, ClearsTheCellsOfTheCancelled) {
  Scheduler scheduler(SchedulerOptions{});
  ASSERT_TRUE(scheduler.submit(spec(1, 30), kStart).has_value());
  const StepPlan plan = scheduler.plan(kStart);
  run_step(scheduler, plan);
  EXPECT_TRUE(scheduler.cancel(1));
  EXPECT_EQ(scheduler.plan(kStart).clears, std::vector<std::int32_t>{plan.slices[0].slot});
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, HoldsItsPromisesInSimulation) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    EXPECT_EQ(simulate_scheduler(seed, 600), "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace deepseek::engine
