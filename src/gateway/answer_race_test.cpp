#include "gateway/answer_run.hpp"
#include "gateway/scripted_backend.hpp"
#include "gateway/virtual_clock.hpp"
#include "io/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::Milliseconds;
using testing::delta;
using ::testing::ElementsAre;
using testing::Fails;
using testing::finished;
using testing::Hangs;
using ::testing::HasSubstr;
using testing::ScriptedBackend;
using testing::VirtualClock;
using testing::Waits;
using Events = std::vector<protocol::Event>;

protocol::Event started(std::int64_t prompt_tokens) {
  protocol::Started started;
  started.prompt_tokens = prompt_tokens;
  return started;
}

struct Heard final : AttemptObserver {
  void on_attempt(const AttemptRecord& record) override {
    all.push_back(std::string(record.backend) + " " + std::string(to_string(record.outcome)));
    prompt_tokens.push_back(record.usage.prompt_tokens);
  }
  std::vector<std::string> all;
  std::vector<std::int64_t> prompt_tokens;
};

// Two backends; the route's first tokens take 100 ms, as it knows from a hundred answers.
struct AnswerRaceTest : ::testing::Test {
  AnswerRaceTest() {
    for (ScriptedBackend* one : {&a, &b}) one->clock = &clock;
    request.stream = true;
    request.model = "m";
    request.operation = protocol::Operation::completion;
    request.prompts = {std::string("What is a race?")};
    options.plan.retry.backoff_min = Milliseconds(1);
  }

  void make_group(bool hedge = true, std::uint32_t percent = 5) {
    RouteGroupOptions group_options;
    group_options.targets = {&first, &second};
    group_options.hedge = hedge;
    group_options.hedge_budget = {percent, 0, Milliseconds(60'000)};
    group.emplace(std::move(group_options));
    for (int i = 0; i < 100; ++i) {
      group->count_request(clock.now());
      group->note_first_token(!request.stream, Milliseconds(100), clock.now());
    }
  }

  struct Outcome {
    std::string text;
    std::optional<base::Error> error;
    std::string note;
    Milliseconds took{};
    bool ended = false;
  };

  asio::awaitable<void> read_all(AnswerRun& run, Outcome& outcome) {
    const base::TimePoint began = clock.now();
    while (true) {
      auto events = co_await run.read();
      if (events.has_error()) outcome.error = events.error();
      if (events.has_error() || events->empty()) break;
      for (const protocol::Event& event : *events) {
        if (const auto* said = std::get_if<protocol::Delta>(&event)) outcome.text += said->content;
      }
    }
    outcome.took = std::chrono::duration_cast<Milliseconds>(clock.now() - began);
    outcome.note = run.route_note();
    outcome.ended = true;
  }

  std::unique_ptr<AnswerRun> make_run() {
    if (!group) make_group();
    RunContext run_context{options, *group};
    run_context.arrived = clock.now();
    run_context.observer = &heard;
    run_context.side_work = &side_work;
    run_context.clock = &clock;
    return std::make_unique<AnswerRun>(request, std::move(run_context), executor);
  }

  Outcome run() {
    Outcome outcome;
    auto answer = make_run();
    io::TaskGroup tasks(executor);
    tasks.spawn("read", read_all(*answer, outcome));
    clock.run(context);
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(first.in_flight() + second.in_flight(), 0u);
    return outcome;
  }

  asio::io_context context{1};
  const asio::any_io_executor executor{context.get_executor()};
  VirtualClock clock;
  ScriptedBackend a, b;
  Target first{{.name = "first", .continues = true}, a};
  Target second{{.name = "second", .continues = true}, b};
  SideWork side_work{std::span(&executor, 1)};
  std::optional<RouteGroup> group;
  RunOptions options;
  protocol::Request request;
  Heard heard;
};

TEST_F(AnswerRaceTest, AFastFirstOneIsAlone) {
  a.script({Waits{Milliseconds(80)}, Events{delta("Hel")}, Events{delta("lo"), finished()}});
  const Outcome outcome = run();
  EXPECT_EQ(outcome.text, "Hello");
  EXPECT_TRUE(b.seen.empty());
  EXPECT_THAT(heard.all, ElementsAre("first answered"));
}

TEST_F(AnswerRaceTest, ASecondOneAnswersForASlowFirst) {
  a.script({Events{started(7)}, Hangs{}});
  b.script({Waits{Milliseconds(50)}, Events{delta("Hi"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Hi");
  EXPECT_GE(outcome.took, Milliseconds(140)) << "100 ms until the hedge, and 50 of the second";
  EXPECT_LE(outcome.took, Milliseconds(160));
  EXPECT_THAT(heard.all, ElementsAre("first hedge_lost", "second answered"));
  EXPECT_EQ(heard.prompt_tokens[0], 7) << "the loser had read its prompt";
  EXPECT_TRUE(a.seen[0].cancelled);
  EXPECT_THAT(outcome.note, HasSubstr("it is slow; second: "));
  EXPECT_THAT(outcome.note, HasSubstr("second was faster"));
  EXPECT_EQ(first.health().view(clock.now()).failures, 0u) << "slow is no failure";
}

TEST_F(AnswerRaceTest, TheFirstOneMayStillWin) {
  a.script({Waits{Milliseconds(120)}, Events{delta("first"), finished()}});
  b.script({Hangs{}});
  const Outcome outcome = run();
  EXPECT_EQ(outcome.text, "first");
  EXPECT_THAT(heard.all, ElementsAre("second hedge_lost", "first answered"));
  EXPECT_TRUE(b.seen[0].cancelled);
}

TEST_F(AnswerRaceTest, IfOneFailsTheOtherGoesOn) {
  a.script({Waits{Milliseconds(120)}, Fails{FailureKind::broken}});
  b.script({Waits{Milliseconds(90)}, Events{delta("Hi"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Hi");
  EXPECT_THAT(heard.all, ElementsAre("first failed", "second answered"));
}

TEST_F(AnswerRaceTest, IfTheSecondFailsTheFirstGoesOn) {
  a.script({Waits{Milliseconds(300)}, Events{delta("Hi"), finished()}});
  b.script({Fails{FailureKind::status_500}});
  const Outcome outcome = run();
  EXPECT_EQ(outcome.text, "Hi");
  EXPECT_THAT(heard.all, ElementsAre("second failed", "first answered"));
}

TEST_F(AnswerRaceTest, WhenBothFailItIsAsWithOne) {
  options.plan.retry.retries_max = 1;
  a.script({Waits{Milliseconds(120)}, Fails{FailureKind::broken, "first broke"}});
  b.script({Waits{Milliseconds(90)}, Fails{FailureKind::broken, "second broke"}});
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->message, "second broke");
  EXPECT_THAT(heard.all, ElementsAre("first failed", "second failed"));
}

TEST_F(AnswerRaceTest, TheClientsMistakeEndsBoth) {
  a.script({Hangs{}});
  b.script({Fails{FailureKind::status_400_client, "bad temperature"}});
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->message, "bad temperature");
  EXPECT_TRUE(a.seen[0].cancelled);
}

TEST_F(AnswerRaceTest, AWinnerThatBreaksIsContinuedByTheLoser) {
  a.script({Hangs{}});
  b.script({Events{delta("Once upon")}, Fails{FailureKind::broken}});
  a.script({Events{delta(" a time"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Once upon a time");
  ASSERT_EQ(a.seen.size(), 2u);
  EXPECT_EQ(a.seen[1].spoken->content, "Once upon");
}

TEST_F(AnswerRaceTest, TheBudgetHolds) {
  make_group(true, 0);
  a.script({Waits{Milliseconds(900)}, Events{delta("late"), finished()}});
  EXPECT_EQ(run().text, "late");
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(AnswerRaceTest, WithoutTheSettingNobodyRaces) {
  make_group(false);
  a.script({Waits{Milliseconds(900)}, Events{delta("late"), finished()}});
  EXPECT_EQ(run().text, "late");
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(AnswerRaceTest, ABackendThatIsOutOfOrderIsNoRival) {
  HealthTicket ticket = second.health().force(clock.now());
  second.health().failed(ticket, clock.now(), FailureKind::status_429, Milliseconds(60'000));
  a.script({Waits{Milliseconds(900)}, Events{delta("late"), finished()}});
  EXPECT_EQ(run().text, "late");
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(AnswerRaceTest, AWholeAnswerIsHedgedByItsOwnTimes) {
  request.stream = false;
  a.script({Hangs{}});
  b.script({Events{delta("Hi"), finished()}});
  EXPECT_EQ(run().text, "Hi");
  EXPECT_THAT(heard.all, ElementsAre("first hedge_lost", "second answered"));
  EXPECT_EQ(second.health().view(clock.now()).first_token.count, 0u)
      << "nothing is known of its first token";
}

TEST_F(AnswerRaceTest, AClientThatLeavesEndsBoth) {
  a.script({Hangs{}});
  b.script({Hangs{}});
  Outcome outcome;
  {
    auto answer = make_run();
    io::TaskGroup tasks(executor);
    tasks.spawn("read", read_all(*answer, outcome));
    clock.after(Milliseconds(200), [&answer] { answer->cancel(); });
    clock.run(context);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, base::ErrorCode::cancelled);
  }
  clock.run(context);
  EXPECT_THAT(heard.all, ElementsAre("first cancelled", "second cancelled"));
  EXPECT_EQ(first.in_flight() + second.in_flight(), 0u);
}

}  // namespace
}  // namespace deepseek::gateway
