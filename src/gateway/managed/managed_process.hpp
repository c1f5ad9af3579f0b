// One program that we start and keep running: vLLM, SGLang, llama-server or any other.
//
// Made by main(). Its insides live on one thread, that of `executor`; status(), ready() and
// call_when_changed() may be called from any thread. The decisions are ManagedFsm's. stop() must
// have returned before it is destroyed. It knows nothing of requests.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "gateway/backend.hpp"
#include "gateway/managed/managed_command.hpp"
#include "gateway/managed/managed_fsm.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace deepseek::gateway {

struct ManagedProcessOptions {
  std::string name;  // of the backend, for messages
  std::string guard_program;
  ManagedCommand command;
  std::map<std::string, std::string> environment;  // beside our own
  std::uint16_t port = 0;                          // that it listens on, at 127.0.0.1
  std::string health_path = "/health";
  base::Milliseconds health_interval{10'000};
  base::Milliseconds health_interval_starting{250};
  ManagedFsmOptions supervision{};
};

class ManagedProcess {
 public:
  // Error: a program that is not there, or settings that do not fit its engine.
  static base::Result<std::unique_ptr<ManagedProcess>> make(boost::asio::any_io_executor executor,
                                                            ManagedProcessOptions options,
                                                            base::Logger logger);
  ~ManagedProcess();
  ManagedProcess(const ManagedProcess&) = delete;
  ManagedProcess& operator=(const ManagedProcess&) = delete;

  // On its own thread, as are the next two.
  void launch();
  void retry();  // when it had given up
  // SIGTERM, and SIGKILL to all of it after stop_timeout. Once.
  boost::asio::awaitable<void> stop();

  const ManagedProcessOptions& options() const;
  // Any thread.
  bool ready() const;
  BackendStatus status() const;
  base::Error unavailable() const;  // why not ready, and when to come again
  // Cancels the timer on its own executor at the next change; then it is forgotten.
  void call_when_changed(const std::shared_ptr<boost::asio::steady_timer>& alarm);

  struct Core;

 private:
  explicit ManagedProcess(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

// A port of 127.0.0.1 that nobody has now, outside the range from which connections get theirs;
// 0 if none was found.
std::uint16_t find_free_port();

}  // namespace deepseek::gateway
