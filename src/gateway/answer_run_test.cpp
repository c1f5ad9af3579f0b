#include "gateway/answer_run.hpp"

#include "gateway/scripted_backend.hpp"
#include "io/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Milliseconds;
using testing::Act;
using testing::delta;
using ::testing::ElementsAre;
using testing::Fails;
using testing::finished;
using testing::Hangs;
using ::testing::HasSubstr;
using testing::HeardAttempts;
using testing::ScriptedBackend;
using Events = std::vector<protocol::Event>;

struct AnswerRunTest : ::testing::Test {
  AnswerRunTest() {
    request.stream = true;
    request.model = "m";
    request.id = "req_1";
    options.plan.retry.backoff_min = Milliseconds(1);
    options.plan.retry.jitter = 0;
  }

  void make_group() {
    RouteGroupOptions group_options;
    group_options.name = "route";
    group_options.targets = {&first, &second};
    group_options.queue_depth_max = queue_depth;
    group_options.queue_timeout = queue_timeout;
    group.emplace(std::move(group_options));
  }

  struct Outcome {
    std::string text;
    std::size_t finished = 0;
    std::size_t restarts = 0;
    protocol::Usage usage;
    std::optional<base::Error> error;
    std::string note;
  };

  asio::awaitable<void> read_all(AnswerRun& run, Outcome& outcome) {
    while (true) {
      auto events = co_await run.read();
      if (events.has_error()) {
        outcome.error = events.error();
        break;
      }
      if (events->empty()) break;
      for (const protocol::Event& event : *events) {
        if (const auto* said = std::get_if<protocol::Delta>(&event)) outcome.text += said->content;
        if (std::holds_alternative<protocol::Restarted>(event)) {
          outcome.text.clear();
          ++outcome.restarts;
        }
        if (const auto* end = std::get_if<protocol::Finished>(&event)) {
          ++outcome.finished;
          outcome.usage += end->usage;
        }
      }
    }
    outcome.note = run.route_note();
  }

  std::unique_ptr<AnswerRun> make_run() {
    if (!group) make_group();
    RunContext run_context{options, *group};
    run_context.arrived = base::now();
    run_context.observer = &heard;
    run_context.tenant = "t";
    return std::make_unique<AnswerRun>(request, std::move(run_context), context.get_executor());
  }

  Outcome run() {
    Outcome outcome;
    auto answer = make_run();
    io::TaskGroup tasks(context.get_executor());
    tasks.spawn("read", read_all(*answer, outcome));
    context.run();
    context.restart();
    return outcome;
  }

  asio::io_context context{1};
  ScriptedBackend a;
  ScriptedBackend b;
  TargetOptions first_options{"first"};
  TargetOptions second_options{"second"};
  Target first{[this] {
                 first_options.continues = true;
                 return first_options;
               }(),
               a};
  Target second{[this] {
                  second_options.continues = true;
                  second_options.in_flight_max = 1;
                  return second_options;
                }(),
                b};
  std::optional<RouteGroup> group;
  RunOptions options;
  std::size_t queue_depth = 10;
  Milliseconds queue_timeout{20'000};
  protocol::Request request;
  HeardAttempts heard;
};

TEST_F(AnswerRunTest, OneBackendAnswers) {
  a.script({Events{delta("Hel")}, Events{delta("lo"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Hello");
  EXPECT_EQ(outcome.finished, 1u);
  ASSERT_EQ(heard.all.size(), 1u);
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::answered);
  EXPECT_EQ(heard.all[0].usage.completion_tokens, 2);
  EXPECT_THAT(outcome.note, HasSubstr("first"));
  EXPECT_EQ(first.in_flight(), 0u);
}

TEST_F(AnswerRunTest, TheNextBackendAnswersBeforeTheFirstByte) {
  a.script({Fails{FailureKind::status_502_503_504}});
  b.script({Events{delta("Hi"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Hi");
  ASSERT_EQ(heard.all.size(), 2u);
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::failed);
  EXPECT_EQ(heard.all[0].usage, protocol::Usage{}) << "what never answered costs nothing";
  EXPECT_THAT(outcome.note, HasSubstr("first"));
  EXPECT_THAT(outcome.note, HasSubstr("status_502_503_504"));
  EXPECT_FALSE(b.seen[0].spoken);
}

TEST_F(AnswerRunTest, AnotherBackendGoesOnBehindTheText) {
  a.script({Events{delta("Once upon")}, Fails{FailureKind::broken}});
  b.script({Events{delta(" a time"), finished(9, 3)}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "Once upon a time");
  EXPECT_EQ(outcome.finished, 1u);
  ASSERT_TRUE(b.seen[0].spoken);
  EXPECT_EQ(b.seen[0].spoken->content, "Once upon");
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::continued);
  EXPECT_EQ(heard.all[0].usage.completion_tokens, 3) << "estimated from what was delivered";
  EXPECT_EQ(outcome.usage.completion_tokens, 6) << "both legs";
}

TEST_F(AnswerRunTest, TheSameBackendGoesOnWhenItIsBack) {
  second_options.in_flight_max = 0;
  RouteGroupOptions alone;
  alone.targets = {&first};
  group.emplace(std::move(alone));
  a.script({Events{delta("a")}, Fails{FailureKind::broken}});
  a.script({Events{delta("b"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "ab");
  EXPECT_EQ(a.seen[1].spoken->content, "a");
}

TEST_F(AnswerRunTest, AToolCallHalfWayIsAnHonestError) {
  a.script({Events{protocol::ToolCallDelta{}}, Fails{FailureKind::broken}});
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::upstream_failed);
  EXPECT_THAT(outcome.error->message, HasSubstr("tool call"));
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(AnswerRunTest, AWholeAnswerBeginsAnewWhereItCannotGoOn) {
  request.stream = false;
  request.logprobs = 0;
  a.script({Events{delta("lost")}, Fails{FailureKind::broken}});
  b.script({Events{delta("found"), finished()}});
  const Outcome outcome = run();
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.text, "found");
  EXPECT_EQ(outcome.restarts, 1u);
  EXPECT_FALSE(b.seen[0].spoken);
}

TEST_F(AnswerRunTest, TheClientsMistakeIsNotRepeated) {
  a.script({Fails{FailureKind::status_400_client, "bad temperature"}});
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->message, "bad temperature");
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(AnswerRunTest, GivesUpAfterAllAttempts) {
  options.plan.retry.retries_max = 3;
  for (int i = 0; i < 4; ++i) {
    a.script({Fails{FailureKind::broken}});
    b.script({Fails{FailureKind::broken}});
  }
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(a.seen.size() + b.seen.size(), 4u);
  EXPECT_EQ(heard.all.size(), 4u);
}

TEST_F(AnswerRunTest, CancelReachesTheBackendAndIsNobodysFailure) {
  a.script({Hangs{}});
  auto answer = make_run();
  a.on_hang = [&] { asio::post(context, [&] { answer->cancel(); }); };
  Outcome outcome;
  io::TaskGroup tasks(context.get_executor());
  tasks.spawn("read", read_all(*answer, outcome));
  context.run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::cancelled);
  EXPECT_TRUE(a.seen[0].cancelled);
  EXPECT_TRUE(b.seen.empty());
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::cancelled);
  EXPECT_EQ(first.health().view(base::now()).failures, 0u);
}

TEST_F(AnswerRunTest, WaitsForABusyBackend) {
  RouteGroupOptions alone;
  alone.targets = {&second};
  alone.queue_timeout = Milliseconds(20'000);
  group.emplace(std::move(alone));
  b.script({Hangs{}});
  b.script({Events{delta("later"), finished()}});
  auto holder = make_run();
  auto waiter = make_run();
  Outcome held;
  Outcome waited;
  io::TaskGroup tasks(context.get_executor());
  b.on_hang = [&] {
    tasks.spawn("waiter", read_all(*waiter, waited));
    // Once the waiter stands in line, the holder leaves.
    asio::post(context, [&] { asio::post(context, [&] { holder->cancel(); }); });
  };
  tasks.spawn("holder", read_all(*holder, held));
  context.run();
  EXPECT_FALSE(waited.error) << waited.error->message;
  EXPECT_EQ(waited.text, "later");
  EXPECT_FALSE(group->room().anyone());
}

TEST_F(AnswerRunTest, ALineThatIsTooLongIsRefusedAtOnce) {
  RouteGroupOptions alone;
  alone.targets = {&second};
  alone.queue_depth_max = 0;
  group.emplace(std::move(alone));
  ASSERT_TRUE(second.enter());
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::queue_full);
  EXPECT_THAT(outcome.error->message, HasSubstr("queue.depth_max"));
  second.leave();
}

TEST_F(AnswerRunTest, WhoWaitsTooLongIsToldSo) {
  RouteGroupOptions alone;
  alone.targets = {&second};
  alone.queue_timeout = Milliseconds(20);
  group.emplace(std::move(alone));
  ASSERT_TRUE(second.enter());
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::rate_limited);
  EXPECT_THAT(outcome.error->message, HasSubstr("queue.timeout"));
  EXPECT_TRUE(outcome.error->retry_after);
  second.leave();
}

TEST_F(AnswerRunTest, TheDeadlineOfTheRequestHolds) {
  options.request_timeout = Milliseconds(30);
  options.plan.retry.backoff_min = Milliseconds(1000);
  RouteGroupOptions alone;
  alone.targets = {&first};
  group.emplace(std::move(alone));
  const Outcome outcome = run();
  ASSERT_TRUE(outcome.error);
  EXPECT_THAT(outcome.error->message, HasSubstr("nobody listens"));
}

}  // namespace
}  // namespace deepseek::gateway
