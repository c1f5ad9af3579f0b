#include "gateway/managed/managed_fsm.hpp"

#include <gmock/gmock.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using testing::HasSubstr;
using Action = ManagedAction;
using Kind = ManagedEvent::Kind;

struct ManagedFsmTest : testing::Test {
  base::TimePoint now{Milliseconds(1'000'000)};
  ManagedFsmOptions options{};
  ManagedFsm fsm{options};

  Action event(Kind kind, std::string text = {}) {
    return fsm.resume({.kind = kind, .number = 42, .text = std::move(text)}, now);
  }
  Action check(bool well) { return fsm.resume({.kind = Kind::check, .well = well}, now); }
  Action at_wake() {
    now = fsm.wake_at().value_or(now);
    return event(Kind::tick);
  }
  void run() {
    EXPECT_EQ(event(Kind::start), Action::spawn);
    event(Kind::spawned);
    check(true);
  }
  BackendState state() const { return fsm.status().state; }
};

TEST_F(ManagedFsmTest, StartsAndIsReadyWhenItIsWell) {
  EXPECT_FALSE(fsm.has_process());
  EXPECT_EQ(event(Kind::start), Action::spawn);
  EXPECT_EQ(state(), BackendState::starting);
  event(Kind::spawned);
  EXPECT_EQ(fsm.status().pid, 42u);
  EXPECT_EQ(check(false), Action::none);
  EXPECT_EQ(state(), BackendState::starting) << "nothing is held against it while it starts";
  EXPECT_EQ(check(true), Action::none);
  EXPECT_EQ(state(), BackendState::ready);
  EXPECT_EQ(fsm.status().reason, "");
  EXPECT_FALSE(fsm.wake_at());
}

TEST_F(ManagedFsmTest, TheFirstRestartIsAtOnceThenPausesDouble) {
  run();
  EXPECT_EQ(event(Kind::exited, "was killed by signal 9 (Killed)"), Action::spawn);
  EXPECT_EQ(state(), BackendState::restarting);
  EXPECT_EQ(fsm.status().restarts, 1u);
  Milliseconds pause{500};
  for (std::uint32_t death = 2; death < options.deaths_max; ++death) {
    EXPECT_EQ(event(Kind::exited, "ended with exit status 1"), Action::none);
    EXPECT_EQ(*fsm.wake_at() - now, pause);
    EXPECT_THAT(fsm.status().reason, HasSubstr("it ended with exit status 1; restart in "));
    EXPECT_EQ(fsm.retry_after(now), pause + Milliseconds(1'000));
    EXPECT_EQ(at_wake(), Action::spawn);
    pause = std::min(pause * 2, options.backoff_max);
  }
  EXPECT_EQ(event(Kind::exited, "ended with exit status 1"), Action::none);
  EXPECT_EQ(state(), BackendState::failed);
  EXPECT_THAT(fsm.status().reason, HasSubstr("given up after 10 starts"));
  EXPECT_FALSE(fsm.wake_at());
  EXPECT_EQ(event(Kind::retry), Action::spawn) << "a reload begins anew";
  EXPECT_EQ(event(Kind::exited, "ended"), Action::spawn);
}

TEST_F(ManagedFsmTest, ASteadyLifeForgivesEarlierDeaths) {
  run();
  event(Kind::exited, "ended");
  check(true);
  now += options.steady;
  EXPECT_EQ(event(Kind::exited, "ended"), Action::spawn) << "at once, as the first";
  now += options.steady;
  EXPECT_EQ(event(Kind::exited, "ended"), Action::none) << "it was never well in this life";
}

TEST_F(ManagedFsmTest, NeverWellIsKilledAtTheStartTimeout) {
  event(Kind::start);
  event(Kind::spawned);
  now += options.start_timeout - Milliseconds(1);
  EXPECT_EQ(event(Kind::tick), Action::none);
  EXPECT_EQ(at_wake(), Action::kill);
  EXPECT_THAT(fsm.status().reason, HasSubstr("start_timeout"));
  EXPECT_EQ(check(true), Action::none) << "too late";
  EXPECT_EQ(event(Kind::exited, "was killed"), Action::spawn);
  event(Kind::exited, "ended");
  EXPECT_EQ(state(), BackendState::restarting);
}

TEST_F(ManagedFsmTest, UnwellForLongIsKilled) {
  run();
  EXPECT_EQ(check(false), Action::none);
  EXPECT_EQ(check(false), Action::none);
  EXPECT_EQ(state(), BackendState::ready) << "two failures are no proof";
  check(false);
  EXPECT_EQ(state(), BackendState::restarting);
  EXPECT_EQ(check(true), Action::none);
  EXPECT_EQ(state(), BackendState::ready) << "it came back";
  for (int i = 0; i < 3; ++i) check(false);
  EXPECT_EQ(at_wake(), Action::kill);
  EXPECT_EQ(at_wake(), Action::abandon) << "it does not even end";
  EXPECT_EQ(event(Kind::exited, "was killed"), Action::spawn);
}

TEST_F(ManagedFsmTest, StopsByTermThenKillThenNotAtAll) {
  run();
  EXPECT_EQ(event(Kind::stop), Action::terminate);
  EXPECT_EQ(state(), BackendState::stopped);
  EXPECT_EQ(at_wake(), Action::kill);
  EXPECT_EQ(at_wake(), Action::abandon);
  EXPECT_EQ(event(Kind::exited, "was killed"), Action::none);
  EXPECT_FALSE(fsm.has_process());
  EXPECT_EQ(event(Kind::start), Action::none);
  EXPECT_EQ(event(Kind::retry), Action::none);
}

TEST_F(ManagedFsmTest, StopsAlsoWhileItStartsEndsOrWaits) {
  event(Kind::start);
  EXPECT_EQ(event(Kind::stop), Action::terminate);
  EXPECT_EQ(event(Kind::spawn_failed, "no such program"), Action::none);
  EXPECT_EQ(state(), BackendState::stopped);

  fsm = ManagedFsm(options);
  run();
  for (int i = 0; i < 3; ++i) check(false);
  EXPECT_EQ(at_wake(), Action::kill);
  EXPECT_EQ(event(Kind::stop), Action::none) << "it was killed already";
  EXPECT_EQ(at_wake(), Action::abandon);

  fsm = ManagedFsm(options);
  run();
  event(Kind::exited, "ended");
  event(Kind::exited, "ended");
  EXPECT_EQ(event(Kind::stop), Action::none);
  EXPECT_EQ(at_wake(), Action::none);
  EXPECT_EQ(state(), BackendState::stopped);
}

TEST_F(ManagedFsmTest, AProgramThatIsNotThereIsTriedAgain) {
  event(Kind::start);
  EXPECT_EQ(event(Kind::spawn_failed, "no pipe"), Action::spawn);
  EXPECT_EQ(event(Kind::spawn_failed, "no pipe"), Action::none);
  EXPECT_THAT(fsm.status().reason, HasSubstr("no pipe; restart in 0.5 s"));
}

}  // namespace
}  // namespace deepseek::gateway
