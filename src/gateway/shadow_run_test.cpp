#include "gateway/shadow_run.hpp"

#include "gateway/scripted_backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using testing::Act;
using ::testing::ElementsAre;
using testing::Fails;
using testing::Hangs;
using ::testing::IsEmpty;
using testing::ScriptedBackend;
using Events = std::vector<protocol::Event>;

struct Heard final : AttemptObserver {
  void on_attempt(const AttemptRecord& record) override {
    all.push_back(std::string(record.tenant) + " " + std::string(record.backend) + " " +
                  std::string(to_string(record.outcome)) + " " +
                  std::to_string(record.usage.completion_tokens) +
                  (record.failure ? " " + std::string(describe(*record.failure).name) : ""));
  }
  std::vector<std::string> all;
};

struct ShadowRunTest : ::testing::Test {
  ShadowRunTest() {
    request.stream = true;
    request.model = "m";
    options.name = "shade";
  }

  void start(std::uint32_t percent = 100, std::uint64_t random = 0) {
    if (!target) target.emplace(options, backend);
    start_shadow(request, {percent, base::Milliseconds(60'000)}, *target, "t", &heard, side_work,
                 executor, random);
  }
  void run() {
    context.restart();
    context.run();
  }
  Events answer() {
    protocol::Delta delta;
    delta.content = "Hello";
    protocol::Finished finished;
    finished.usage.completion_tokens = 7;
    return {delta, finished};
  }

  asio::io_context context{1};
  const asio::any_io_executor executor{context.get_executor()};
  ScriptedBackend backend;
  TargetOptions options;
  std::optional<Target> target;
  SideWork side_work{std::span(&executor, 1)};
  protocol::Request request;
  Heard heard;
};

TEST_F(ShadowRunTest, IsReadToItsEndAndCounted) {
  backend.script({answer()});
  start();
  EXPECT_TRUE(backend.seen.empty()) << "the client's request goes first";
  request = {};  // the client has left
  run();
  EXPECT_THAT(heard.all, ElementsAre("t shade shadow 7"));
  EXPECT_EQ(target->in_flight(), 0u);
  EXPECT_EQ(target->health().view(base::now()).total.count, 1u);
}

TEST_F(ShadowRunTest, AFailureIsCountedToo) {
  backend.script({Fails{FailureKind::status_500}});
  start();
  run();
  EXPECT_THAT(heard.all, ElementsAre("t shade shadow 0 status_500"));
  EXPECT_EQ(target->health().view(base::now()).failures, 1u);
  EXPECT_EQ(target->in_flight(), 0u);
}

TEST_F(ShadowRunTest, OnlyAShareOfTheRequests) {
  start(50, ~std::uint64_t{0});
  EXPECT_EQ(target->in_flight(), 0u) << "drawn 100";
  start(50, 0);
  EXPECT_EQ(target->in_flight(), 1u) << "drawn 0";
  run();
}

TEST_F(ShadowRunTest, ABackendThatIsBusyIllOrUnableIsLeftAlone) {
  options.in_flight_max = 1;
  options.models = {"m"};
  target.emplace(options, backend);
  ASSERT_TRUE(target->enter());
  start();
  target->leave();
  request.model = "another";
  start();
  request.model = "m";
  HealthTicket ticket = target->health().force(base::now());
  target->health().failed(ticket, base::now(), FailureKind::status_429, base::Milliseconds(60'000));
  start();
  run();
  EXPECT_THAT(heard.all, IsEmpty());
  EXPECT_TRUE(backend.seen.empty());
}

TEST_F(ShadowRunTest, NoMoreThanTheLimitAtATime) {
  options.in_flight_max = 1'000;
  for (std::size_t i = 0; i < shadows_max; ++i) backend.script({answer()});
  for (std::size_t i = 0; i < shadows_max + 5; ++i) start();
  EXPECT_EQ(target->in_flight(), shadows_max);
  run();
  EXPECT_EQ(heard.all.size(), shadows_max);
  backend.script({answer()});
  start();
  run();
  EXPECT_EQ(heard.all.size(), shadows_max + 1) << "the places are free again";
}

TEST_F(ShadowRunTest, StoppingEndsIt) {
  backend.script({Hangs{}});
  start();
  io::TaskGroup main(executor);
  backend.on_hang = [this, &main] {
    asio::post(context, [this, &main] { main.spawn("stop", side_work.stop()); });
  };
  run();
  EXPECT_THAT(heard.all, ElementsAre("t shade shadow 0"));
  EXPECT_EQ(target->in_flight(), 0u);
  start();
  run();
  EXPECT_EQ(backend.seen.size(), 1u) << "nothing begins behind the end";
  EXPECT_EQ(target->in_flight(), 0u);
}

}  // namespace
}  // namespace deepseek::gateway
