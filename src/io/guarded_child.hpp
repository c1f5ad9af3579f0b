// A program of somebody else's that runs under a guard (child_guard.hpp): it and all that it starts
// end when we say so, when it ends itself, and when this process dies in whatever way.
//
// Belongs to one I/O thread. What it prints comes through one pipe. wait() must have returned
// before it is destroyed, or what the program started may stay.
#pragma once

#include "io/child_process.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <vector>

namespace deepseek::io {

struct GuardedChildOptions {
  std::string guard_program;             // this program, which knows child_guard_flag
  std::vector<std::string> command;      // program and arguments; looked for in PATH
  std::vector<std::string> environment;  // "NAME=value", all of it
};

class GuardedChild {
 public:
  // Errors as ChildProcess::spawn(), for the guard. A program that does not exist is the guard's
  // to find: it prints so and ends with status 127.
  static base::Result<std::unique_ptr<GuardedChild>> spawn(boost::asio::any_io_executor executor,
                                                           const GuardedChildOptions& options);
  ~GuardedChild();
  GuardedChild(const GuardedChild&) = delete;
  GuardedChild& operator=(const GuardedChild&) = delete;

  int pid() const { return guard_.pid(); }  // of the guard
  void signal(int number);                  // to the program and its process group
  void kill();                              // SIGKILL to everything that it started
  void abandon();                           // SIGKILL to the guard: when kill() had no effect
  // The next bytes that it printed; empty once all ends are closed, or after finish_output() once
  // nothing is left.
  boost::asio::awaitable<std::string> read_output();
  // It has ended: nobody waits for more output, whoever may still hold its end.
  void finish_output();
  boost::asio::awaitable<ChildExit> wait() { return guard_.wait(); }  // once

 private:
  GuardedChild(ChildProcess guard, boost::asio::posix::stream_descriptor output, int control);

  ChildProcess guard_;
  boost::asio::posix::stream_descriptor output_;
  int control_;
  bool finished_ = false;
};

// Where a program lies: as it is if it names a folder, else the first in `path` ("/bin:/usr/bin")
// that may be run. Empty if there is none.
std::string find_program(const std::string& name, const std::string& path);

}  // namespace deepseek::io
