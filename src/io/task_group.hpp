// TaskGroup: the only caller of co_spawn. Who starts coroutines owns a group; stopping the group
// cancels them and waits.
//
// Lives on one executor's thread: spawn(), stop() and the tasks all run there. A group must be
// stopped (and stop() awaited) or empty before it is destroyed; the destructor asserts that.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string_view>

namespace deepseek::io {

class TaskGroup {
 public:
  // `on_exception` hears what a task threw (a bug): log it. It must not throw.
  using ExceptionHandler = std::function<void(std::string_view task, std::string_view what)>;

  explicit TaskGroup(boost::asio::any_io_executor executor, ExceptionHandler on_exception = {});
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs `task` on the group's executor. False (and the task is dropped) once stop() was called.
  // `name` is a literal.
  bool spawn(std::string_view name, boost::asio::awaitable<void> task);

  // Emits terminal cancellation to every task; returns when all have ended. May be called once.
  boost::asio::awaitable<void> stop();

  // Waits until no task is left, without cancelling any.
  boost::asio::awaitable<void> join();

  std::size_t size() const;
  boost::asio::any_io_executor executor() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Runs `task` on another executor and returns on the caller's. What the task throws arrives here.
// The caller's cancellation does not reach the task.
boost::asio::awaitable<void> run_on(boost::asio::any_io_executor executor,
                                    boost::asio::awaitable<void> task);

}  // namespace deepseek::io
