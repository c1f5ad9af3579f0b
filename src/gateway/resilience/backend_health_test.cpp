#include "gateway/resilience/backend_health.hpp"

#include <gtest/gtest.h>
#include <atomic>
#include <thread>
#include <vector>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using std::chrono::microseconds;

constexpr microseconds quick{100'000};

struct BackendHealthTest : testing::Test {
  base::TimePoint now{Milliseconds(1'000'000)};
  BackendHealth health;

  void succeed(microseconds first_token = quick) {
    auto ticket = health.start(now).value();
    health.succeeded(ticket, now, first_token, 2 * first_token);
  }
  void fail(FailureKind kind, std::optional<Milliseconds> retry_after = std::nullopt) {
    auto ticket = health.start(now).value();
    health.failed(ticket, now, kind, retry_after);
  }
  void fail_ten_times() {
    for (int i = 0; i < 10; ++i) fail(FailureKind::connect);
  }
  Availability state() const { return health.usable(now).availability; }
};

TEST_F(BackendHealthTest, OpensAndRecovers) {
  EXPECT_TRUE(health.usable(now));
  fail_ten_times();
  EXPECT_FALSE(health.usable(now));
  EXPECT_EQ(state(), Availability::breaker_open);
  EXPECT_FALSE(health.start(now).has_value());
  HealthView view = health.view(now);
  EXPECT_EQ(view.breaker, BreakerState::open);
  EXPECT_EQ(view.back_in, Milliseconds(60'000));
  EXPECT_EQ(view.failures, 10u);
  EXPECT_EQ(view.last_failure, FailureKind::connect);
  now += Milliseconds(60'000);
  EXPECT_EQ(state(), Availability::probe);
  EXPECT_TRUE(health.usable(now));
  for (int i = 0; i < 3; ++i) succeed();
  EXPECT_EQ(state(), Availability::usable);
}

TEST_F(BackendHealthTest, WhatAClientDoesIsNoFailure) {
  for (int i = 0; i < 50; ++i) {
    fail(FailureKind::client_cancelled);
    fail(FailureKind::status_400_client);
    fail(FailureKind::status_4xx_there);
    auto ticket = health.start(now).value();
    health.cancelled(ticket, now);
  }
  EXPECT_EQ(state(), Availability::usable);
  EXPECT_EQ(health.take_sample().failures, 0u);
  EXPECT_EQ(health.view(now).failures, 0u);
}

TEST_F(BackendHealthTest, OneProbeWhoseCancelFreesItsPlace) {
  fail_ten_times();
  now += Milliseconds(60'000);
  auto probe = health.start(now).value();
  EXPECT_FALSE(health.start(now).has_value());
  EXPECT_EQ(state(), Availability::breaker_open);
  health.cancelled(probe, now);
  EXPECT_EQ(state(), Availability::probe);
  auto refused = health.start(now).value();
  health.failed(refused, now, FailureKind::status_400_client);
  EXPECT_EQ(state(), Availability::probe) << "it answered; that is no failure";
  auto dead = health.start(now).value();
  health.failed(dead, now, FailureKind::broken);
  EXPECT_EQ(state(), Availability::breaker_open);
}

TEST_F(BackendHealthTest, AProbesFirstTokenIsEnough) {
  fail_ten_times();
  now += Milliseconds(60'000);
  std::vector<HealthTicket> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(health.start(now).value());
    health.first_token(streams.back(), now, quick);
    health.first_token(streams.back(), now, quick);
  }
  EXPECT_EQ(state(), Availability::usable);
  for (HealthTicket& stream : streams) health.succeeded(stream, now, quick, 10 * quick);
  const OutlierSample sample = health.take_sample();
  EXPECT_EQ(sample.successes, 3u);
  EXPECT_EQ(sample.first_tokens, 3u);
  EXPECT_EQ(sample.first_token_sum, 3 * quick);
}

TEST_F(BackendHealthTest, AProbesStreamThatBreaksOpensItAgain) {
  fail_ten_times();
  now += Milliseconds(60'000);
  auto stream = health.start(now).value();
  health.first_token(stream, now, quick);
  EXPECT_EQ(state(), Availability::probe);
  health.failed(stream, now, FailureKind::broken);
  EXPECT_EQ(state(), Availability::breaker_open);
}

TEST_F(BackendHealthTest, CoolsDownAsAsked) {
  fail(FailureKind::status_429, Milliseconds(3'000));
  EXPECT_EQ(state(), Availability::cooling_down);
  EXPECT_EQ(health.view(now).back_in, Milliseconds(3'000));
  EXPECT_FALSE(health.start(now).has_value());
  now += Milliseconds(3'000);
  EXPECT_EQ(state(), Availability::usable);
  fail(FailureKind::status_502_503_504);
  EXPECT_EQ(state(), Availability::usable) << "no time, no pause: that is the breaker's affair";
  fail(FailureKind::status_502_503_504, Milliseconds(1'000));
  EXPECT_EQ(state(), Availability::cooling_down);
  now += Milliseconds(1'000);
  fail(FailureKind::status_500, Milliseconds(1'000));
  EXPECT_EQ(state(), Availability::usable);
  fail(FailureKind::status_429);
  EXPECT_EQ(state(), Availability::cooling_down);
  auto forced = health.force(now);
  health.succeeded(forced, now, quick, quick);
  EXPECT_EQ(state(), Availability::cooling_down) << "one lucky request does not end the pause";
}

TEST_F(BackendHealthTest, ChecksTakeItOutAndBringItBackBeforeTheBreakersTime) {
  health.begin_checks(now, 0);
  EXPECT_EQ(health.next_check_at(), now);
  fail_ten_times();
  for (int i = 0; i < 3; ++i) {
    health.check_started();
    EXPECT_EQ(health.next_check_at(), base::TimePoint::max());
    health.check_finished(false, now, 0);
  }
  EXPECT_EQ(state(), Availability::unhealthy);
  EXPECT_EQ(health.view(now).check_failures, 3u);
  for (int i = 0; i < 2; ++i) health.check_finished(true, now, 0);
  EXPECT_EQ(state(), Availability::probe) << "a second later, not a minute later";
}

TEST_F(BackendHealthTest, EjectionEnds) {
  health.eject({.index = 0, .until = now + Milliseconds(30'000), .reason = "is far slower"});
  EXPECT_EQ(state(), Availability::ejected);
  EXPECT_EQ(health.view(now).eject_reason, "is far slower");
  EXPECT_EQ(health.view(now).back_in, Milliseconds(30'000));
  EXPECT_FALSE(health.start(now).has_value());
  now += Milliseconds(30'000);
  EXPECT_EQ(state(), Availability::usable);
  EXPECT_EQ(health.view(now).back_in, Milliseconds(0));
}

TEST_F(BackendHealthTest, KnowsItsTimes) {
  EXPECT_EQ(health.usable(now).first_token, microseconds(0));
  for (int i = 1; i <= 100; ++i) succeed(microseconds(1'000) * i);
  const LatencyQuantiles times = health.view(now).first_token;
  EXPECT_NEAR(static_cast<double>(times.p95.count()), 95'000, 6'000);
  EXPECT_GT(health.usable(now).first_token, microseconds(80'000));
  EXPECT_EQ(health.view(now).total.count, 100u);
}

TEST_F(BackendHealthTest, ManyThreadsNeverGetTwoProbes) {
  fail_ten_times();
  now += Milliseconds(60'000);
  std::atomic<int> granted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) {
        if (health.start(now)) ++granted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(granted, 1);
}

}  // namespace
}  // namespace deepseek::gateway
