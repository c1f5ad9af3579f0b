#include "gateway/route_group.hpp"

#include "gateway/scripted_backend.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using testing::ScriptedBackend;

// A backend that says how long a prompt would wait there.
class Queue final : public Backend {
 public:
  std::unique_ptr<EventStream> start(const Attempt&) override { return nullptr; }
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt&) override { return nullptr; }
  BackendStatus status() const override { return {}; }
  Milliseconds expected_first_token(std::int64_t tokens) const override {
    return wait + Milliseconds(tokens);
  }
  Milliseconds wait{0};
};

struct RouteGroupTest : ::testing::Test {
  // The name of the one that is chosen; empty if nobody is.
  std::string choose(RouteGroup& group, CandidateSet excluded = 0) {
    auto selected = group.select(excluded, traits, 0, now);
    auto* one = std::get_if<RouteGroup::Selected>(&selected);
    return one == nullptr ? "" : group.target(one->index).name();
  }
  void limit(Target& target) {
    HealthTicket ticket = target.health().force(now);
    target.health().failed(ticket, now, FailureKind::status_429, Milliseconds(5'000));
  }

  Queue engine_queue;
  ScriptedBackend upstream;
  Target engine{{.name = "engine", .local = true}, engine_queue};
  Target near{{.name = "near", .zone = "here"}, upstream};
  Target far{{.name = "far", .zone = "there"}, upstream};
  RouteGroupOptions options;
  RequestTraits traits;
  base::TimePoint now{std::chrono::hours(1)};
};

TEST_F(RouteGroupTest, TheOwnZoneComesFirst) {
  options.targets = {&far, &near};
  options.zone = "here";
  RouteGroup group(options);
  EXPECT_EQ(choose(group), "near");
  limit(near);
  EXPECT_EQ(choose(group), "far") << "spilled over";
}

TEST_F(RouteGroupTest, AnEngineIsInTheOwnZone) {
  options.targets = {&far, &engine};
  options.zone = "elsewhere";
  RouteGroup group(options);
  EXPECT_EQ(choose(group), "engine");
}

TEST_F(RouteGroupTest, WithoutAZoneOrAnyoneInItTheStrategyAloneChooses) {
  options.targets = {&far, &near};
  RouteGroup without(options);
  EXPECT_EQ(choose(without), "far");
  options.zone = "elsewhere";
  RouteGroup nobody(options);
  EXPECT_EQ(choose(nobody), "far");
}

TEST_F(RouteGroupTest, ASplitIsStrongerThanAZone) {
  options.targets = {&far, &near};
  options.zone = "here";
  options.split = {100, 0};
  RouteGroup group(options);
  EXPECT_EQ(choose(group), "far");
}

TEST_F(RouteGroupTest, AQueueBeyondTheGoalIsPassedOver) {
  options.targets = {&engine, &far};
  options.first_token_goal = Milliseconds(2'000);
  RouteGroup group(options);
  engine_queue.wait = Milliseconds(1'500);
  traits.prompt_tokens = 500;
  EXPECT_EQ(choose(group), "engine");
  traits.prompt_tokens = 501;
  EXPECT_EQ(choose(group), "far");
  limit(far);
  EXPECT_EQ(choose(group), "engine") << "late is better than never";
}

TEST_F(RouteGroupTest, HedgesWithinTheBudgetAndOnlyAmongThoseInOrder) {
  options.targets = {&near, &far};
  options.hedge = true;
  options.hedge_budget = {50, 0, Milliseconds(60'000)};
  RouteGroup group(options);
  EXPECT_FALSE(group.hedge_delay(false, now)) << "nothing is known yet";
  for (int i = 0; i < 30; ++i) group.note_first_token(false, Milliseconds(100), now);
  ASSERT_TRUE(group.hedge_delay(false, now));
  EXPECT_FALSE(group.select_hedge(1, traits, 0, now)) << "no request, no budget";
  for (int i = 0; i < 4; ++i) group.count_request(now);
  EXPECT_TRUE(group.select_hedge(1, traits, 0, now));
  EXPECT_EQ(far.in_flight(), 0u) << "given back";
  limit(far);
  EXPECT_FALSE(group.select_hedge(1, traits, 0, now)) << "it asked for a pause";
  EXPECT_TRUE(group.select_hedge(2, traits, 0, now)) << "which cost nothing of the budget";
  EXPECT_FALSE(group.select_hedge(2, traits, 0, now)) << "two for four requests";
}

}  // namespace
}  // namespace deepseek::gateway
