#include "gateway/call_run.hpp"

#include "gateway/scripted_backend.hpp"
#include "io/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::Milliseconds;
using testing::Fails;
using testing::finished;
using testing::Hangs;
using ::testing::HasSubstr;
using testing::HeardAttempts;
using testing::ScriptedBackend;
using Events = std::vector<protocol::Event>;

TargetOptions named(const char* name, std::uint32_t in_flight_max = 1000) {
  TargetOptions options{name};
  options.in_flight_max = in_flight_max;
  return options;
}

using EmbeddingRun = CallRun<protocol::EmbeddingRequest, EmbeddingResult>;

struct EmbeddingRunTest : ::testing::Test {
  EmbeddingRunTest() {
    request.model = "m";
    request.id = "req_1";
    request.inputs = {std::string("a")};
    options.plan.retry.backoff_min = Milliseconds(1);
    options.plan.retry.jitter = 0;
    RouteGroupOptions group_options;
    group_options.targets = {&first, &second};
    group.emplace(std::move(group_options));
  }

  ~EmbeddingRunTest() override {
    for (const HeardAttempts::One& one : heard.all) {
      EXPECT_EQ(one.request_id, "req_1");
      EXPECT_EQ(one.tenant, "t");
    }
  }

  std::unique_ptr<EmbeddingRun> make_run() {
    RunContext run_context{options, *group};
    run_context.arrived = base::now();
    run_context.observer = &heard;
    run_context.tenant = "t";
    return std::make_unique<EmbeddingRun>(request, &Backend::embed, std::move(run_context),
                                          context.get_executor());
  }

  asio::awaitable<void> wait_for(EmbeddingRun& call) {
    auto got = co_await call.result();
    result.emplace(std::move(got));
  }

  void run(EmbeddingRun& call) {
    io::TaskGroup tasks(context.get_executor());
    tasks.spawn("wait", wait_for(call));
    context.run();
    context.restart();
  }
  void run() {
    auto call = make_run();
    run(*call);
  }

  asio::io_context context{1};
  ScriptedBackend a;
  ScriptedBackend b;
  Target first{named("first", 1), a};
  Target second{named("second"), b};
  std::optional<RouteGroup> group;
  RunOptions options;
  protocol::EmbeddingRequest request;
  HeardAttempts heard;
  std::optional<base::Result<EmbeddingResult>> result;
};

TEST_F(EmbeddingRunTest, OneBackendAnswersAndIsCounted) {
  a.script({Events{finished(7, 0)}});
  run();
  ASSERT_TRUE(result && result->has_value());
  EXPECT_EQ((*result)->prompt_tokens, 7);
  ASSERT_EQ(heard.all.size(), 1u);
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::answered);
  EXPECT_EQ(heard.all[0].usage.prompt_tokens, 7);
  EXPECT_EQ(first.in_flight(), 0u);
}

TEST_F(EmbeddingRunTest, TheNextBackendAnswersWhenTheFirstFails) {
  a.script({Fails{FailureKind::status_502_503_504}});
  b.script({Events{finished(7, 0)}});
  run();
  ASSERT_TRUE(result && result->has_value());
  ASSERT_EQ(heard.all.size(), 2u);
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::failed);
  EXPECT_EQ(heard.all[0].usage.prompt_tokens, 0) << "what gave nothing costs nothing";
  EXPECT_EQ(heard.all[1].backend, "second");
  EXPECT_EQ(heard.all[1].number, 2u);
}

TEST_F(EmbeddingRunTest, TheClientsMistakeIsNotRepeated) {
  a.script({Fails{FailureKind::status_400_client, "too many inputs"}});
  run();
  ASSERT_TRUE(result && result->has_error());
  EXPECT_EQ(result->error().message, "too many inputs");
  EXPECT_TRUE(b.seen.empty());
}

TEST_F(EmbeddingRunTest, NobodyThereIsAnError) {
  options.plan.retry.retries_max = 2;
  run();
  ASSERT_TRUE(result && result->has_error());
  EXPECT_THAT(result->error().message, HasSubstr("nobody listens"));
  EXPECT_EQ(a.seen.size() + b.seen.size(), 3u);
}

TEST_F(EmbeddingRunTest, CancelReachesTheBackendAndIsNobodysFailure) {
  a.script({Hangs{}});
  auto call = make_run();
  std::uint32_t at_work = 0;
  a.on_hang = [&] {
    at_work = first.in_flight();
    asio::post(context, [&] { call->cancel(); });
  };
  run(*call);
  ASSERT_TRUE(result && result->has_error());
  EXPECT_EQ(result->error().code, base::ErrorCode::cancelled);
  EXPECT_TRUE(a.seen[0].cancelled);
  EXPECT_TRUE(b.seen.empty());
  EXPECT_EQ(at_work, 1u);
  ASSERT_EQ(heard.all.size(), 1u);
  EXPECT_EQ(heard.all[0].outcome, AttemptOutcome::cancelled);
  EXPECT_EQ(first.health().view(base::now()).failures, 0u);
  EXPECT_EQ(first.in_flight(), 0u);
}

TEST_F(EmbeddingRunTest, ABusyBackendIsPassedOver) {
  ASSERT_TRUE(first.enter());
  b.script({Events{finished(7, 0)}});
  run();
  ASSERT_TRUE(result && result->has_value());
  EXPECT_EQ(heard.all[0].backend, "second");
  first.leave();
}

}  // namespace
}  // namespace deepseek::gateway
