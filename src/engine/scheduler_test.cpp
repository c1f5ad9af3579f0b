#include "engine/scheduler.hpp"

#include "scheduler_simulation.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace deepseek::engine {
namespace {

using std::chrono::milliseconds;

const base::TimePoint kStart{std::chrono::hours(1)};

SequenceSpec spec(SequenceId id, std::int32_t prompt, std::int32_t tokens_max = 0) {
  SequenceSpec made;
  made.id = id;
  // No two begin alike.
  made.prompt.assign(static_cast<std::size_t>(prompt), static_cast<Token>(100 + id));
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
  options.prefill_chunk = 16;  // the budget's least, so it stays
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 4)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 10)).has_value());
  ASSERT_TRUE(scheduler.submit(spec(3, 100)).has_value());
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
  ASSERT_TRUE(scheduler.submit(spec(1, 1000)).has_value());
  EXPECT_EQ(scheduler.plan(kStart).tokens, 512);
}

TEST(Scheduler, RefusesAtOnceWhatCannotFitWithBothNumbers) {
  Scheduler scheduler(SchedulerOptions{});
  const auto refused = scheduler.submit(spec(1, 8192));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::context_length);
  EXPECT_NE(refused.error().message.find("8192 tokens; this model takes at most 8192"),
            std::string::npos);
  EXPECT_EQ(refused.error().param, "prompt");
  EXPECT_EQ(scheduler.submit(spec(2, 0)).error().code, base::ErrorCode::invalid_request);
}

TEST(Scheduler, FullQueueNamesItsLimitAndWhenToComeBack) {
  SchedulerOptions options;
  options.queue_max = 1;
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 4)).has_value());
  const auto refused = scheduler.submit(spec(2, 4));
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
  ASSERT_TRUE(scheduler.submit(spec(2, 4, 1)).has_value());
  ASSERT_TRUE(scheduler.submit(spec(1, 4, 1)).has_value());
  ASSERT_TRUE(scheduler.submit(std::move(urgent)).has_value());
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
  ASSERT_TRUE(scheduler.submit(spec(1, 10)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 10)).has_value());
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
  ASSERT_TRUE(scheduler.submit(std::move(metered)).has_value());
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
  ASSERT_TRUE(scheduler.submit(std::move(metered)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(spec(2, 4)).has_value());
  EXPECT_TRUE(scheduler.plan(kStart).slices.empty());
  ASSERT_TRUE(scheduler.next_wakeup().has_value());
  const StepPlan plan = scheduler.plan(*scheduler.next_wakeup());
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].id, 2U);
  EXPECT_EQ(plan.preempted, std::vector<SequenceId>{1});
}

TEST(Scheduler, AnIdleEngineGathersABatchForAWhile) {
  SchedulerOptions options;
  options.batch_min = 3;
  options.batch_wait = milliseconds(20);
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.submit(spec(1, 4)).has_value());
  ASSERT_TRUE(scheduler.submit(spec(2, 4)).has_value());
  EXPECT_TRUE(scheduler.plan(kStart + milliseconds(1)).slices.empty());
  EXPECT_EQ(scheduler.next_wakeup(), kStart + milliseconds(21));  // the first came at 1 ms
  EXPECT_EQ(scheduler.plan(kStart + milliseconds(21)).slices.size(), 2U);
  Scheduler full(options);
  for (SequenceId id = 1; id <= 3; ++id) ASSERT_TRUE(full.submit(spec(id, 4)).has_value());
  EXPECT_EQ(full.plan(kStart + milliseconds(3)).slices.size(), 3U);
}

TEST(Scheduler, DropsWhatWaitedTooLong) {
  SchedulerOptions options;
  options.sequences_max = 1;
  Scheduler scheduler(options);
  SequenceSpec late = spec(2, 4);
  late.deadline = kStart + milliseconds(50);
  ASSERT_TRUE(scheduler.submit(spec(1, 4)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.submit(std::move(late)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  EXPECT_EQ(scheduler.next_wakeup(), kStart + milliseconds(50));
  EXPECT_EQ(scheduler.plan(kStart + milliseconds(50)).dropped, std::vector<SequenceId>{2});
  EXPECT_FALSE(scheduler.known(2));
}

TEST(Scheduler, AnInterruptedStepKeepsWhatIsInTheCache) {
  Scheduler scheduler(SchedulerOptions{});
  ASSERT_TRUE(scheduler.submit(spec(1, 300)).has_value());
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
  ASSERT_TRUE(scheduler.submit(spec(1, 30)).has_value());
  const StepPlan plan = scheduler.plan(kStart);
  run_step(scheduler, plan);
  EXPECT_TRUE(scheduler.discard(1));
  const std::vector<CacheChange> changes = scheduler.plan(kStart).changes;
  ASSERT_FALSE(changes.empty());
  EXPECT_EQ(changes.back(), (CacheChange{CacheChange::Kind::keep, plan.slices[0].slot, -1, 0}));
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.load().cells_resting, 0);
}

TEST(Scheduler, WhatHasEndedIsKeptForPromptsThatBeginAlike) {
  Scheduler scheduler(SchedulerOptions{});
  SequenceSpec first = spec(1, 100, 1);
  SequenceSpec second = spec(2, 120, 1);
  std::copy_n(first.prompt.begin(), 60, second.prompt.begin());
  ASSERT_TRUE(scheduler.submit(std::move(first)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  ASSERT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.load().cells_resting, 100);
  ASSERT_TRUE(scheduler.submit(std::move(second)).has_value());
  const StepPlan plan = scheduler.plan(kStart);
  ASSERT_EQ(plan.slices.size(), 1U);
  EXPECT_EQ(plan.slices[0].begin, 60);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes[0].kind, CacheChange::Kind::share);
  EXPECT_EQ(plan.changes[0].length, 60);
  EXPECT_EQ(scheduler.facts(2, kStart)->cached_tokens, 60);
  EXPECT_EQ(scheduler.load().cells_used, 60);
}

TEST(Scheduler, WhoGivesASeedReadsAllByItself) {
  Scheduler scheduler(SchedulerOptions{});
  for (SequenceId id = 1; id <= 3; ++id) {
    SequenceSpec one = spec(id, 100, 1);
    std::fill(one.prompt.begin(), one.prompt.end(), 5);
    one.reads_all = id != 3;
    ASSERT_TRUE(scheduler.submit(std::move(one)).has_value());
    const StepPlan plan = scheduler.plan(kStart);
    ASSERT_EQ(plan.slices.size(), 1U);
    EXPECT_EQ(plan.slices[0].begin, id == 3 ? 99 : 0);
    run_step(scheduler, plan);
  }
}

TEST(Scheduler, RequestsThatArriveTogetherPayOnceForWhatTheyShare) {
  Scheduler scheduler(SchedulerOptions{});
  for (SequenceId id = 1; id <= 4; ++id) {
    SequenceSpec one = spec(id, 210, 1);
    std::fill_n(one.prompt.begin(), 200, 5);
    ASSERT_TRUE(scheduler.submit(std::move(one)).has_value());
  }
  std::int32_t computed = 0;
  std::vector<Ended> all;
  for (int step = 0; step < 10 && !scheduler.idle(); ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    computed += plan.tokens;
    const std::vector<Ended> ended = run_step(scheduler, plan);
    all.insert(all.end(), ended.begin(), ended.end());
  }
  EXPECT_EQ(computed, 210 + 3 * 10);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].facts.cached_tokens, 0);
  for (std::size_t index = 1; index < 4; ++index) {
    EXPECT_EQ(all[index].facts.cached_tokens, 200);
  }
}

TEST(Scheduler, OtherTenantsAndUsersShareNothingUnlessTheyMay) {
  for (const auto sharing : {PrefixSharing::user, PrefixSharing::tenant, PrefixSharing::all}) {
    SchedulerOptions options;
    options.sharing = sharing;
    Scheduler scheduler(options);
    const auto cached = [&](SequenceId id, const char* tenant, const char* user) {
      SequenceSpec one = spec(id, 100, 1);
      std::fill(one.prompt.begin(), one.prompt.end(), 5);
      one.tenant = tenant;
      one.user_id = user;
      EXPECT_TRUE(scheduler.submit(std::move(one)).has_value());
      return run_step(scheduler, scheduler.plan(kStart)).at(0).facts.cached_tokens;
    };
    EXPECT_EQ(cached(1, "a", "x"), 0);
    EXPECT_EQ(cached(2, "a", "x"), 99);
    EXPECT_EQ(cached(3, "a", "y"), sharing == PrefixSharing::user ? 0 : 99);
    EXPECT_EQ(cached(4, "b", "x"), sharing == PrefixSharing::all ? 99 : 0);
  }
}

TEST(Scheduler, AFloodOfOneTenantDoesNotKeepAnotherWaiting) {
  SchedulerOptions options;
  options.sequences_max = 4;
  Scheduler scheduler(options);
  for (SequenceId id = 1; id <= 50; ++id) {
    SequenceSpec one = spec(id, 20, 64);
    one.tenant = "a";
    ASSERT_TRUE(scheduler.submit(std::move(one)).has_value());
  }
  for (int step = 0; step < 5; ++step) run_step(scheduler, scheduler.plan(kStart));
  SequenceSpec other = spec(51, 20, 64);
  other.tenant = "b";
  ASSERT_TRUE(scheduler.submit(std::move(other)).has_value());
  int steps = 0;
  std::vector<SequenceId> preempted;
  while (scheduler.facts(51, kStart)->completion_tokens == 0 && ++steps < 100) {
    const StepPlan plan = scheduler.plan(kStart);
    preempted.insert(preempted.end(), plan.preempted.begin(), plan.preempted.end());
    run_step(scheduler, plan);
  }
  EXPECT_LE(steps, 3);  // of about 800 that the flood takes
  EXPECT_EQ(preempted.size(), 1U);
}

TEST(Scheduler, TenantsGetWhatTheirWeightsSay) {
  SchedulerOptions options;
  options.sequences_max = 6;
  Scheduler scheduler(options);
  std::map<std::string, double> tokens;
  SequenceId ids = 0;
  const auto add = [&](bool heavy) {
    ids += 2;
    SequenceSpec one = spec(ids + (heavy ? 0 : 1), 10 + static_cast<std::int32_t>(ids % 37), 32);
    one.tenant = heavy ? "heavy" : "light";
    one.weight = heavy ? 2 : 1;
    ASSERT_TRUE(scheduler.submit(std::move(one)).has_value());
  };
  for (int count = 0; count < 20; ++count) add(count % 2 == 0);  // both have always more to do
  double apart_max = 0;
  for (int step = 0; step < 3000; ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    for (const Slice& slice : plan.slices) {
      if (slice.wants_logits) ++tokens[slice.id % 2 == 0 ? "heavy" : "light"];
    }
    for (const Ended& ended : run_step(scheduler, plan)) add(ended.id % 2 == 0);
    apart_max = std::max(apart_max, std::abs(scheduler.shares().of_tenant("heavy") -
                                             scheduler.shares().of_tenant("light")));
  }
  EXPECT_NEAR(tokens["heavy"] / tokens["light"], 2, 0.2);
  // Twice the larger of the longest prompt and the tokens that all places together can be given.
  EXPECT_LE(apart_max, 2 * std::max(kPromptTokenCost * 46, kAnswerTokenCost * 6 * 46));
}

TEST(Scheduler, AShortRequestGoesBesideALongPromptOfAnotherTenant) {
  SchedulerOptions options;
  options.step_tokens_max = 64;
  Scheduler scheduler(options);
  SequenceSpec huge = spec(1, 6000, 1);
  huge.tenant = "a";
  ASSERT_TRUE(scheduler.submit(std::move(huge)).has_value());
  run_step(scheduler, scheduler.plan(kStart));
  SequenceSpec small = spec(2, 10, 1);
  small.tenant = "b";
  ASSERT_TRUE(scheduler.submit(std::move(small)).has_value());
  // Lifted to what the other has been charged: from then on they share the steps.
  std::vector<Ended> ended = run_step(scheduler, scheduler.plan(kStart));
  for (int step = 0; step < 3 && ended.empty(); ++step) {
    ended = run_step(scheduler, scheduler.plan(kStart));
  }
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].id, 2U);
}

TEST(Scheduler, HoldsItsPromisesInSimulation) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    EXPECT_EQ(simulate_scheduler(seed, 600), "") << "seed " << seed;
  }
}

SchedulerOptions windowed() {
  SchedulerOptions options;
  options.cells = 1024;
  options.context_max = 1'000'000;
  options.window.tokens = 128;
  return options;
}

TEST(Scheduler, AWindowHoldsTheFirstTokensAndTheLast) {
  const SchedulerOptions options = windowed();
  Scheduler scheduler(options);
  SequenceSpec long_prompt = spec(1, 5000, 600);
  const std::vector<Token> prompt = long_prompt.prompt;
  ASSERT_TRUE(scheduler.submit(std::move(long_prompt)).has_value());
  int slides = 0;
  std::vector<Ended> ended;
  for (int step = 0; step < 2000 && ended.empty(); ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    for (const CacheChange& change : plan.changes) {
      if (change.kind != CacheChange::Kind::slide) continue;
      ++slides;
      EXPECT_EQ(change.source, options.window.sinks);
      EXPECT_EQ(change.length, options.window.dropped());
    }
    for (const Slice& slice : plan.slices) EXPECT_LE(slice.end, options.window.cells_max());
    const auto tokens = scheduler.tokens(1);
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.begin() + options.window.sinks, prompt.begin()));
    EXPECT_LE(scheduler.load().cells_used, options.window.cells_max());
    ended = run_step(scheduler, plan);
  }
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].facts.completion_tokens, 600);
  EXPECT_EQ(ended[0].facts.prompt_tokens, 5000);
  EXPECT_GE(slides, 600 / options.window.dropped() - 1);
  EXPECT_EQ(scheduler.load().cells_resting, 0) << "nobody can begin with a middle";
}

TEST(Scheduler, WhoSharesCellsSlidesInItsOwn) {
  Scheduler scheduler(windowed());
  for (const SequenceId id : {1U, 2U}) {
    SequenceSpec alike = spec(id, 150, 200);
    for (std::size_t index = 0; index < 150; ++index) {
      alike.prompt[index] = static_cast<Token>(index);
    }
    ASSERT_TRUE(scheduler.submit(std::move(alike)).has_value());
  }
  std::size_t ended = 0;
  for (int step = 0; step < 2000 && ended < 2; ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    ended += run_step(scheduler, plan).size();
    EXPECT_LE(scheduler.load().cells_used, 1024);
  }
  EXPECT_EQ(ended, 2U);
}

}  // namespace
}  // namespace deepseek::engine
