#include "gateway/outlier_watch.hpp"

#include "gateway/scripted_backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::ScriptedBackend;

struct OutlierWatchTest : ::testing::Test {
  OutlierWatchTest() { options.eject_time = Milliseconds(30'000); }

  // Each of them has so many answers, each after so long.
  void answer(Target& target, int count, Milliseconds first_token) {
    for (int i = 0; i < count; ++i) {
      HealthTicket ticket = target.health().force(now);
      target.health().succeeded(ticket, now, first_token, first_token);
    }
  }
  void fail(Target& target, int count) {
    for (int i = 0; i < count; ++i) {
      HealthTicket ticket = target.health().force(now);
      target.health().failed(ticket, now, FailureKind::status_500);
    }
  }
  std::vector<std::string> evaluate() {
    std::vector<std::string> ejected;
    watch.evaluate(
        now, [&](const Target& target, const Ejection&) { ejected.push_back(target.name()); });
    return ejected;
  }
  Availability state(Target& target) { return target.health().view(now).availability; }

  static TargetOptions patient(std::string name, bool local = false) {
    TargetOptions options{.name = std::move(name), .local = local};
    options.health.breaker.failures_max = 1'000'000;  // the breaker is not what is tested
    return options;
  }

  ScriptedBackend backend;
  Target a{patient("a"), backend}, b{patient("b"), backend}, c{patient("c"), backend};
  Target local{patient("local", true), backend};
  OutlierOptions options;
  OutlierWatch watch;
  base::TimePoint now{std::chrono::hours(1)};
};

TEST_F(OutlierWatchTest, WhoIsFarSlowerStaysAwayForAWhile) {
  watch.watch({{&a, &b, &c}}, options);
  for (Target* one : {&a, &b}) answer(*one, 50, Milliseconds(200));
  answer(c, 50, Milliseconds(5'000));
  EXPECT_THAT(evaluate(), ElementsAre("c"));
  EXPECT_EQ(state(c), Availability::ejected);
  EXPECT_EQ(state(a), Availability::usable);
  now += Milliseconds(30'000);
  EXPECT_EQ(state(c), Availability::usable);
}

TEST_F(OutlierWatchTest, WhoFailsFarMoreOftenToo) {
  watch.watch({{&a, &b}}, options);
  answer(a, 50, Milliseconds(200));
  answer(b, 25, Milliseconds(200));
  fail(b, 25);
  EXPECT_THAT(evaluate(), ElementsAre("b"));
}

TEST_F(OutlierWatchTest, NeverMoreThanTheShareThatIsAllowed) {
  options.ejected_percent_max = 34;
  watch.watch({{&a, &b, &c}}, options);
  answer(a, 500, Milliseconds(200));
  for (Target* one : {&b, &c}) fail(*one, 100);
  EXPECT_EQ(evaluate().size(), 1u);
}

TEST_F(OutlierWatchTest, AFurtherTimeIsLonger) {
  watch.watch({{&a, &b, &c}}, options);
  for (const Milliseconds stays : {Milliseconds(30'000), Milliseconds(60'000)}) {
    for (Target* one : {&a, &b}) answer(*one, 50, Milliseconds(200));
    answer(c, 50, Milliseconds(5'000));
    EXPECT_THAT(evaluate(), ElementsAre("c"));
    EXPECT_EQ(c.health().view(now).back_in, stays);
    now += stays;
  }
}

TEST_F(OutlierWatchTest, ATargetOfTwoRoutesIsJudgedInBoth) {
  watch.watch({{&a, &b}, {&b, &c}, {&a, &b}}, options);
  answer(a, 50, Milliseconds(5'000));
  answer(b, 50, Milliseconds(200));
  answer(c, 50, Milliseconds(5'000));
  EXPECT_THAT(evaluate(), ElementsAre("a", "c"));
}

TEST_F(OutlierWatchTest, AnEngineOfThisMachineIsNoOutlier) {
  watch.watch({{&local, &a, &b}}, options);
  answer(local, 50, Milliseconds(9'000));
  for (Target* one : {&a, &b}) answer(*one, 50, Milliseconds(200));
  EXPECT_THAT(evaluate(), IsEmpty());
}

TEST_F(OutlierWatchTest, AReloadForgetsNothingOfTheSameBackends) {
  watch.watch({{&a, &b, &c}}, options);
  for (Target* one : {&a, &b}) answer(*one, 15, Milliseconds(200));
  answer(c, 15, Milliseconds(5'000));
  EXPECT_THAT(evaluate(), IsEmpty()) << "too few to judge";
  watch.watch({{&a, &b}, {&c, &b, &a}}, options);
  for (Target* one : {&a, &b}) answer(*one, 15, Milliseconds(200));
  answer(c, 15, Milliseconds(5'000));
  EXPECT_THAT(evaluate(), ElementsAre("c")) << "25 in all, the old ones fading";
}

}  // namespace
}  // namespace deepseek::gateway
