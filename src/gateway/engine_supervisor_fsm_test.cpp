#include "gateway/engine_supervisor_fsm.hpp"

#include <gtest/gtest.h>
#include <random>

namespace deepseek::gateway {
namespace {

using Action = SupervisorAction;
using Kind = SupervisorEvent::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Supervisor {
  base::TimePoint now{};
  EngineSupervisorFsm fsm{SupervisorOptions{}, 1};

  Action tell(SupervisorEvent event) { return fsm.resume(event, now); }
  Action tell(Kind kind) { return fsm.resume({.kind = kind}, now); }
  void come_up() {
    tell({.kind = Kind::spawned, .number = 42});
    tell({.kind = Kind::hello, .number = 1});
    tell(Kind::ready);
  }
  Action die() {
    tell(Kind::broken);
    return tell({.kind = Kind::exited, .text = "was killed by signal 9 (Killed)"});
  }
  // To the next time at which it wants to be woken.
  Action sleep() {
    now = fsm.wake_at().value();
    return tell(Kind::tick);
  }
  BackendState state() const { return fsm.status().state; }
  const std::string& reason() const { return fsm.status().reason; }
};

TEST(EngineSupervisorFsm, ComesUp) {
  Supervisor s;
  EXPECT_EQ(s.tell(Kind::start), Action::spawn);
  EXPECT_EQ(s.state(), BackendState::starting);
  EXPECT_EQ(s.tell({.kind = Kind::spawned, .number = 42}), Action::none);
  EXPECT_EQ(s.fsm.status().pid, 42u);
  s.tell({.kind = Kind::hello, .number = 1});
  EXPECT_EQ(s.state(), BackendState::loading);
  s.tell({.kind = Kind::progress, .fraction = 0.43, .text = "weights"});
  EXPECT_EQ(s.reason(), "loading the model, 43 % (weights)");
  s.tell(Kind::ready);
  EXPECT_EQ(s.state(), BackendState::ready);
  EXPECT_EQ(s.fsm.wake_at(), std::nullopt) << "an idle engine needs no pings";
}

TEST(EngineSupervisorFsm, RestartsAtOnceThenBacksOffToTheCap) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  EXPECT_EQ(s.die(), Action::spawn) << "the first time at once";
  for (const int pause : {250, 500, 1000, 2000, 4000, 8000, 10000, 10000}) {
    s.come_up();
    EXPECT_EQ(s.die(), Action::none);
    EXPECT_EQ(s.state(), BackendState::restarting);
    EXPECT_EQ(*s.fsm.wake_at() - s.now, milliseconds(pause));
    EXPECT_EQ(s.sleep(), Action::spawn);
  }
  EXPECT_EQ(s.fsm.status().restarts, 9u);
}

TEST(EngineSupervisorFsm, ALongLifeForgivesEarlierDeaths) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  s.die();
  s.come_up();
  s.now += seconds(11);
  EXPECT_EQ(s.die(), Action::spawn);
}

TEST(EngineSupervisorFsm, TheReasonSaysWhatHappenedAndWhen) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  s.die();
  s.come_up();
  s.die();
  EXPECT_EQ(s.reason(), "the engine was killed by signal 9 (Killed); restart in 0.3 s");
  EXPECT_EQ(s.fsm.retry_after(s.now), milliseconds(1250));
}

TEST(EngineSupervisorFsm, PingsWhileBusyAndKillsAWedgedEngine) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  s.tell(Kind::busy);
  EXPECT_EQ(s.sleep(), Action::ping);
  EXPECT_EQ(s.tell({.kind = Kind::pong, .number = s.fsm.ping_number()}), Action::none);
  EXPECT_EQ(s.sleep(), Action::ping);
  const base::TimePoint asked = s.now;
  s.tell({.kind = Kind::pong, .number = 1});  // an old one does not count
  Action action = Action::none;
  while (action == Action::none) action = s.sleep();
  EXPECT_EQ(action, Action::kill);
  EXPECT_EQ(s.now - asked, milliseconds(1500)) << "asked half a second after its last answer";
  EXPECT_EQ(s.fsm.end_reason(), "the engine did not answer for 2.0 s and was killed");
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "was killed"}), Action::spawn);
}

// What a pong that tells of such a step leads to.
Action told_of_step(milliseconds step, milliseconds expected) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  s.tell(Kind::busy);
  s.sleep();
  return s.tell(
      {.kind = Kind::pong, .number = s.fsm.ping_number(), .step = step, .expected_step = expected});
}

TEST(EngineSupervisorFsm, KillsAnEngineWhoseStepDoesNotEnd) {
  EXPECT_EQ(told_of_step(milliseconds(1'900), milliseconds(100)), Action::none);
  EXPECT_EQ(told_of_step(milliseconds(2'100), milliseconds(100)), Action::kill);
  EXPECT_EQ(told_of_step(milliseconds(9'000), milliseconds(1'000)), Action::none);
  EXPECT_EQ(told_of_step(milliseconds(10'000), milliseconds(1'000)), Action::kill);
  EXPECT_EQ(told_of_step(milliseconds(29'000), milliseconds(60'000)), Action::none);
  EXPECT_EQ(told_of_step(milliseconds(30'000), milliseconds(60'000)), Action::kill);
  EXPECT_EQ(told_of_step(milliseconds(29'000), milliseconds(0)), Action::none) << "its first";
}

TEST(EngineSupervisorFsm, MakesRoomAndComesBackWhenItIsWanted) {
  Supervisor s;
  EXPECT_EQ(s.state(), BackendState::unloaded);
  s.tell({.kind = Kind::waits_for_memory, .text = "waits"});
  EXPECT_EQ(s.state(), BackendState::starting);
  EXPECT_EQ(s.reason(), "waits");
  EXPECT_FALSE(s.fsm.keeps_memory());
  EXPECT_EQ(s.tell(Kind::start), Action::spawn);
  s.come_up();
  EXPECT_TRUE(s.fsm.keeps_memory());
  EXPECT_EQ(s.tell(Kind::evict), Action::shutdown);
  EXPECT_EQ(s.state(), BackendState::restarting);
  EXPECT_TRUE(s.fsm.keeps_memory()) << "until it has ended";
  EXPECT_EQ(s.sleep(), Action::terminate);
  EXPECT_EQ(s.sleep(), Action::kill);
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "was killed"}), Action::none);
  EXPECT_EQ(s.state(), BackendState::unloaded);
  EXPECT_FALSE(s.fsm.keeps_memory());
  EXPECT_EQ(s.tell(Kind::start), Action::spawn);
  s.come_up();
  s.tell(Kind::evict);
  EXPECT_EQ(s.tell(Kind::stop), Action::none) << "it is ending already";
  s.tell({.kind = Kind::exited, .text = "ended"});
  EXPECT_TRUE(s.fsm.stopped());
}

TEST(EngineSupervisorFsm, AFailedGpuIsLeftAlone) {
  Supervisor s;
  s.tell(Kind::start);
  s.tell({.kind = Kind::spawned, .number = 42});
  s.tell({.kind = Kind::hello, .number = 1});
  EXPECT_FALSE(s.fsm.without_gpu());
  EXPECT_EQ(s.tell({.kind = Kind::device_failed, .text = "no memory"}), Action::kill);
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "was killed", .killed = true}), Action::spawn);
  EXPECT_TRUE(s.fsm.without_gpu());
  s.come_up();
  EXPECT_EQ(s.state(), BackendState::ready);
  EXPECT_EQ(s.fsm.status().degraded, "the GPU failed (no memory); the model runs on the processor");
}

TEST(EngineSupervisorFsm, AGpuThatTakesTheProcessWithItTwiceIsLeftAlone) {
  Supervisor s;
  s.tell(Kind::start);
  for (const bool degraded : {false, true}) {
    s.tell({.kind = Kind::spawned, .number = 42});
    s.tell({.kind = Kind::hello, .number = 1});
    s.tell({.kind = Kind::ready, .on_gpu = true});
    s.tell(Kind::broken);
    const Action next = s.tell({.kind = Kind::exited, .text = "was killed by signal 6 (Aborted)"});
    EXPECT_EQ(s.fsm.without_gpu(), degraded);
    if (next == Action::none) s.sleep();
  }
  EXPECT_EQ(s.fsm.status().degraded.find("the engine was killed by signal 6"), 0U);
}

TEST(EngineSupervisorFsm, AKillFromOutsideIsNotTheGpusFault) {
  Supervisor s;
  s.tell(Kind::start);
  for (int death = 0; death < 3; ++death) {
    s.tell({.kind = Kind::spawned, .number = 42});
    s.tell({.kind = Kind::hello, .number = 1});
    s.tell({.kind = Kind::ready, .on_gpu = true});
    s.tell(Kind::broken);
    const Action next =
        s.tell({.kind = Kind::exited, .text = "was killed by signal 9 (Killed)", .killed = true});
    if (next == Action::none) {
      EXPECT_EQ(s.sleep(), Action::spawn);
    }
  }
  EXPECT_FALSE(s.fsm.without_gpu());
}

TEST(EngineSupervisorFsm, IdleEnginesAreLeftAlone) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  s.tell(Kind::busy);
  s.sleep();
  s.tell(Kind::idle);
  s.now += seconds(100);
  EXPECT_EQ(s.tell(Kind::tick), Action::none);
  s.tell(Kind::busy);
  EXPECT_EQ(s.sleep(), Action::ping) << "an unanswered ping of an idle time is forgotten";
}

TEST(EngineSupervisorFsm, NoHelloIsAFailure) {
  Supervisor s;
  s.tell(Kind::start);
  s.tell({.kind = Kind::spawned, .number = 42});
  EXPECT_EQ(s.sleep(), Action::kill);
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "was killed"}), Action::spawn);
}

TEST(EngineSupervisorFsm, APermanentLoadFailureEndsTheLoop) {
  Supervisor s;
  s.tell(Kind::start);
  s.tell({.kind = Kind::hello, .number = 1});
  EXPECT_EQ(s.tell({.kind = Kind::load_failed, .permanent = true, .text = "m.gguf: byte 0"}),
            Action::kill);
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "ended with exit status 1"}), Action::none);
  EXPECT_EQ(s.state(), BackendState::failed);
  EXPECT_EQ(s.reason(), "the model could not be loaded: m.gguf: byte 0");
  EXPECT_EQ(s.fsm.wake_at(), std::nullopt);
  EXPECT_EQ(s.tell(Kind::retry), Action::spawn);
}

TEST(EngineSupervisorFsm, AnotherProtocolVersionIsPermanent) {
  Supervisor s;
  s.tell(Kind::start);
  EXPECT_EQ(s.tell({.kind = Kind::hello, .number = 7}), Action::kill);
  s.tell({.kind = Kind::exited, .text = "was killed"});
  EXPECT_EQ(s.state(), BackendState::failed);
}

TEST(EngineSupervisorFsm, StopDrainsThenTerminatesThenKills) {
  Supervisor s;
  s.tell(Kind::start);
  s.come_up();
  EXPECT_EQ(s.tell(Kind::stop), Action::shutdown);
  EXPECT_FALSE(s.fsm.stopped() && s.fsm.status().pid == 0);
  EXPECT_EQ(s.sleep(), Action::terminate);
  EXPECT_EQ(s.sleep(), Action::kill);
  EXPECT_EQ(s.tell({.kind = Kind::exited, .text = "was killed"}), Action::none);
  EXPECT_TRUE(s.fsm.stopped());
  EXPECT_EQ(s.tell(Kind::start), Action::none);
}

TEST(EngineSupervisorFsm, StopWhileItLoadsOrWaits) {
  Supervisor loading;
  loading.tell(Kind::start);
  EXPECT_EQ(loading.tell(Kind::stop), Action::kill);
  Supervisor waiting;
  waiting.tell(Kind::start);
  waiting.tell({.kind = Kind::spawn_failed, .text = "no such file"});
  waiting.tell({.kind = Kind::spawn_failed, .text = "no such file"});
  EXPECT_EQ(waiting.state(), BackendState::restarting);
  EXPECT_EQ(waiting.tell(Kind::stop), Action::none);
  EXPECT_TRUE(waiting.fsm.stopped());
  EXPECT_EQ(waiting.fsm.wake_at(), std::nullopt);
}

// Whatever happens, in any order: at most one process, none after stop, and a way forward.
TEST(EngineSupervisorFsm, SeededChaos) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Supervisor s;
    bool alive = false;
    bool ending = false;
    const auto act = [&](Action action) {
      if (action == Action::spawn) {
        ASSERT_FALSE(alive);
        alive = true;
        ending = false;
      } else if (action != Action::none) {
        if (action == Action::kill) ending = true;
      }
    };
    act(s.tell(Kind::start));
    for (int i = 0; i < 200; ++i) {
      s.now += milliseconds(random() % 700);
      switch (random() % 9) {
        case 0:
          act(s.tell({.kind = Kind::hello, .number = 1}));
          break;
        case 1:
          act(s.tell(Kind::ready));
          break;
        case 2:
          act(s.tell(Kind::busy));
          break;
        case 3:
          act(s.tell(Kind::idle));
          break;
        case 4:
          act(s.tell({.kind = Kind::pong, .number = s.fsm.ping_number()}));
          break;
        case 5:
          if (alive) act(s.tell(Kind::broken));
          break;
        case 6:
          if (alive && ending) {
            alive = false;
            act(s.tell({.kind = Kind::exited, .text = "was killed"}));
          }
          break;
        default:
          act(s.tell(Kind::tick));
      }
      ASSERT_TRUE(alive || s.fsm.wake_at().has_value()) << "nobody would ever start it again";
    }
    act(s.tell(Kind::stop));
    if (alive) act(s.tell({.kind = Kind::exited, .text = "was killed"}));
    EXPECT_TRUE(s.fsm.stopped());
  }
}

}  // namespace
}  // namespace deepseek::gateway
