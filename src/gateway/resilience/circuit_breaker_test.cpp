#include "gateway/resilience/circuit_breaker.hpp"

#include <gtest/gtest.h>
#include <deque>
#include <random>
#include <string>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using Permit = CircuitBreaker::Permit;

struct Breaker {
  base::TimePoint now{Milliseconds(1'000'000)};
  CircuitBreaker breaker{BreakerOptions{}};

  void fail(int times = 1) {
    for (int i = 0; i < times; ++i) breaker.failed(breaker.allow(now).value(), now);
  }
  void succeed(int times = 1) {
    for (int i = 0; i < times; ++i) breaker.succeeded(breaker.allow(now).value(), now);
  }
  void wait(int ms) { now += Milliseconds(ms); }
  BreakerState state() const { return breaker.state(now); }
};

TEST(CircuitBreaker, OpensAfterTenFailuresInARow) {
  Breaker b;
  b.succeed(1'000);
  b.fail(9);
  EXPECT_EQ(b.state(), BreakerState::closed);
  b.fail();
  EXPECT_EQ(b.state(), BreakerState::open);
  EXPECT_FALSE(b.breaker.would_allow(b.now));
  EXPECT_FALSE(b.breaker.allow(b.now).has_value());
}

TEST(CircuitBreaker, OpensWhenHalfOfTheResultsAreFailures) {
  Breaker b;
  for (int i = 0; i < 9; ++i) {
    b.succeed();
    b.fail();
  }
  EXPECT_EQ(b.state(), BreakerState::closed);
  b.succeed();
  b.fail();
  EXPECT_EQ(b.state(), BreakerState::open) << "ten of twenty";
}

TEST(CircuitBreaker, AFewFailuresOfABusyBackendDoNotOpenIt) {
  Breaker b;
  for (int i = 0; i < 500; ++i) {
    b.succeed(9);
    b.fail();
  }
  EXPECT_EQ(b.state(), BreakerState::closed);
}

TEST(CircuitBreaker, FailuresThatLieFarApartAreForgotten) {
  Breaker b;
  for (int i = 0; i < 50; ++i) {
    b.fail();
    b.wait(120'001);
  }
  EXPECT_EQ(b.state(), BreakerState::closed);
}

TEST(CircuitBreaker, HalfOpenAdmitsOneProbeAtATime) {
  Breaker b;
  b.fail(10);
  b.wait(59'999);
  EXPECT_FALSE(b.breaker.would_allow(b.now));
  b.wait(1);
  EXPECT_EQ(b.state(), BreakerState::half_open);
  for (int probe = 0; probe < 3; ++probe) {
    EXPECT_TRUE(b.breaker.would_allow(b.now));
    EXPECT_TRUE(b.breaker.would_allow(b.now)) << "asking reserves nothing";
    const auto permit = b.breaker.allow(b.now);
    ASSERT_TRUE(permit.has_value());
    EXPECT_FALSE(b.breaker.would_allow(b.now));
    EXPECT_FALSE(b.breaker.allow(b.now).has_value());
    EXPECT_EQ(b.state(), BreakerState::half_open);
    b.breaker.succeeded(*permit, b.now);
  }
  EXPECT_EQ(b.state(), BreakerState::closed);
  b.fail(9);
  EXPECT_EQ(b.state(), BreakerState::closed) << "the old failures are forgotten";
}

TEST(CircuitBreaker, AFailedProbeOpensItAgain) {
  Breaker b;
  b.fail(10);
  b.wait(60'000);
  b.succeed(2);
  b.fail();
  EXPECT_EQ(b.state(), BreakerState::open);
  b.wait(59'999);
  EXPECT_EQ(b.state(), BreakerState::open);
  b.wait(1);
  b.succeed(2);
  EXPECT_EQ(b.state(), BreakerState::half_open) << "the two from before do not count";
}

TEST(CircuitBreaker, ACancelledProbeIsFreedAndIsNeither) {
  Breaker b;
  b.fail(10);
  b.wait(60'000);
  for (int i = 0; i < 20; ++i) b.breaker.cancelled(b.breaker.allow(b.now).value());
  EXPECT_EQ(b.state(), BreakerState::half_open);
  b.succeed(3);
  EXPECT_EQ(b.state(), BreakerState::closed);
  for (int i = 0; i < 20; ++i) b.breaker.cancelled(b.breaker.allow(b.now).value());
  b.fail(9);
  EXPECT_EQ(b.state(), BreakerState::closed);
}

TEST(CircuitBreaker, ResultsFromBeforeTheChangeAreIgnored) {
  Breaker b;
  const Permit early = b.breaker.allow(b.now).value();
  b.fail(10);
  b.breaker.succeeded(early, b.now);
  EXPECT_EQ(b.state(), BreakerState::open);
  b.wait(60'000);
  const Permit probe = b.breaker.allow(b.now).value();
  b.breaker.failed(early, b.now);
  b.breaker.cancelled(early);
  EXPECT_EQ(b.state(), BreakerState::half_open);
  EXPECT_FALSE(b.breaker.would_allow(b.now)) << "the probe still runs";
  b.breaker.succeeded(probe, b.now);
  EXPECT_TRUE(b.breaker.would_allow(b.now));
}

TEST(CircuitBreaker, AProbeThatNeverEndsDoesNotBlockForEver) {
  Breaker b;
  b.fail(10);
  b.wait(60'000);
  const Permit lost = b.breaker.allow(b.now).value();
  b.wait(59'999);
  EXPECT_FALSE(b.breaker.would_allow(b.now));
  b.wait(1);
  const Permit next = b.breaker.allow(b.now).value();
  b.breaker.cancelled(lost);
  EXPECT_FALSE(b.breaker.would_allow(b.now)) << "the place belongs to the next one now";
  b.breaker.failed(next, b.now);
  EXPECT_EQ(b.state(), BreakerState::open);
}

TEST(CircuitBreaker, ALifeSignEndsTheOpenTime) {
  Breaker b;
  b.fail(10);
  b.breaker.hasten(b.now);
  EXPECT_EQ(b.state(), BreakerState::half_open);
  b.succeed(3);
  EXPECT_EQ(b.state(), BreakerState::closed);
}

TEST(CircuitBreaker, AForcedSuccessWhileOpenBeginsToCloseIt) {
  Breaker b;
  b.fail(10);
  const Permit failing = b.breaker.force(b.now);
  b.breaker.failed(failing, b.now);
  EXPECT_EQ(b.breaker.open_until(), b.now + Milliseconds(60'000));
  b.breaker.succeeded(b.breaker.force(b.now), b.now);
  EXPECT_EQ(b.state(), BreakerState::half_open);
  b.succeed(2);
  EXPECT_EQ(b.state(), BreakerState::closed);
}

// Whatever the order of grants and results: at most one probe at a time while half-open, and a
// backend that is well again is used again.
TEST(CircuitBreaker, SeededChaos) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Breaker b;
    std::deque<Permit> running;
    for (int i = 0; i < 400; ++i) {
      b.wait(static_cast<int>(random() % 4'000));
      const bool half_open = b.state() == BreakerState::half_open;
      const auto permit = b.breaker.allow(b.now);
      if (permit) running.push_back(*permit);
      if (half_open) {
        ASSERT_FALSE(b.breaker.would_allow(b.now));
      }
      if (running.empty() || random() % 2 == 0) continue;
      const Permit ended = running.front();
      running.pop_front();
      if (random() % 4 == 0)
        b.breaker.cancelled(ended);
      else if (random() % 3 == 0)
        b.breaker.succeeded(ended, b.now);
      else
        b.breaker.failed(ended, b.now);
    }
    for (const Permit& permit : running) b.breaker.cancelled(permit);
    for (int i = 0; i < 3; ++i) {
      b.wait(60'000);
      if (const auto permit = b.breaker.allow(b.now)) b.breaker.succeeded(*permit, b.now);
    }
    ASSERT_EQ(b.state(), BreakerState::closed);
  }
}

}  // namespace
}  // namespace deepseek::gateway
