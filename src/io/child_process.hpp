// One supervised child process: spawn, signal, wait without blocking, and never leave it behind.
//
// A ChildProcess belongs to one I/O thread. The child gets: the given descriptors, /dev/null as
// standard input, its own process group, default signal handling, and PR_SET_PDEATHSIG(SIGKILL)
// unless it looks after itself (GuardedChild). That signal is tied to the *thread* that spawned, so
// spawn only from a thread that lives as long as the process (the I/O threads of IoThreads do).
#pragma once

#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace deepseek::io {

struct ChildOptions {
  std::string program;                   // an absolute path
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<std::string> environment;  // "NAME=value"; empty: the parent's own
  std::vector<std::pair<int, int>>
      descriptors;               // (ours, the child's number ≥ 1); ours stays open here
  bool ends_with_parent = true;  // false: no PR_SET_PDEATHSIG; it must notice by itself
};

struct ChildExit {
  std::optional<int> status;     // exit status
  std::optional<int> signal;     // or the signal that killed it
  std::string describe() const;  // "exit status 2", "killed by signal 9 (Killed)"
};

class ChildProcess {
 public:
  // Fails with `internal` and the system's reason (program missing, no permission, out of
  // processes).
  static base::Result<ChildProcess> spawn(boost::asio::any_io_executor executor,
                                          const ChildOptions& options);
  ~ChildProcess();  // SIGKILL to the group and reaped, if still running
  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;

  int pid() const;
  void signal(int number);                   // to the child's process group; nothing after it ended
  boost::asio::awaitable<ChildExit> wait();  // once; through a pidfd; reaps

 private:
  struct State;
  explicit ChildProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace deepseek::io
