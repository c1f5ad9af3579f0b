// A deepseek-engine for tests: speaks the protocol over the other end of the socket pair, in this
// process.
//
// Belongs to the test's thread, which uses plain blocking reads with a time limit. FakeLauncher's
// launch() is called on the backend's thread and hands each engine to the test.
#pragma once

#include "deepseek/engine/v1/engine.pb.h"
#include "gateway/engine_launcher.hpp"
#include "io/event.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway::testing {

namespace wire = deepseek::engine::v1;

// What the backend sees of the process; shared with the test.
class FakeLife {
 public:
  void signal(int number);
  void end(std::string how, bool killed = false);  // it has ended: wait() returns
  std::optional<EngineEnd> ended() const;
  std::vector<int> signals() const;
  bool wait_for_signal(int number, std::chrono::seconds limit = std::chrono::seconds(20));
  void set_wake(std::function<void()> wake);
  // With this, SIGKILL does not end it at once.
  bool survives_signals = false;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> signals_;
  std::optional<EngineEnd> ended_;
  std::function<void()> wake_;
};

class FakeEngine {
 public:
  FakeEngine(int descriptor, std::shared_ptr<FakeLife> its_life)
      : life(std::move(its_life)), descriptor_(descriptor) {}
  ~FakeEngine() { close(); }
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;

  void say(const wire::FromEngine& message);
  void say_raw(const std::string& payload);
  void hello(std::uint32_t version = 1);
  void ready(bool on_gpu = false);
  void device_failed(const std::string& text);
  void come_up() {
    hello();
    ready();
  }
  void load_failed(const std::string& message, bool permanent);
  void started(std::uint64_t request, std::int64_t prompt_tokens = 3);
  void delta(std::uint64_t request, const std::string& content);
  void finished(std::uint64_t request, std::int64_t completion_tokens = 1);
  void failed(std::uint64_t request, wire::Failed::Code code, const std::string& message);

  // The next message, or nothing at the end of the link; fails the test after 20 s.
  std::optional<wire::ToEngine> hear();
  // The next message that is not a Ping, which it answers.
  std::optional<wire::ToEngine> hear_work();
  wire::Submit hear_submit();

  // Ends the process: its end of the link closes.
  void die(const std::string& how = "was killed by signal 9 (Killed)");
  void close();

  std::shared_ptr<FakeLife> life;

 private:
  bool read_bytes(char* bytes, std::size_t size);
  int descriptor_;
};

// Launches fake engines and hands them to the test in order.
class FakeLauncher final : public EngineLauncher {
 public:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::unique_ptr<FakeEngine>> engines;
    int failures = 0;  // so many launches fail first
    int launches = 0;
    bool without_gpu = false;  // the last launch

    std::unique_ptr<FakeEngine> next();  // waits for the next launch
    bool none() {
      const std::lock_guard lock(mutex);
      return engines.empty();
    }
  };
  explicit FakeLauncher(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  base::Result<LaunchedEngine> launch(boost::asio::any_io_executor executor,
                                      bool without_gpu) override;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace deepseek::gateway::testing
