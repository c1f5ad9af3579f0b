// Work beside the answers, which may outlive the request that it began with: the reading of legs
// that race each other, and shadows.
//
// Made by main() before the gateways, stopped by it before the I/O threads; shared by all of them.
// A task runs on the thread that spawned it.
#pragma once

#include "io/task_group.hpp"

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

inline constexpr std::size_t shadows_max = 64;  // copies of requests that run at a time

class SideWork {
 public:
  // One executor for each I/O thread, in their order.
  explicit SideWork(std::span<const boost::asio::any_io_executor> threads,
                    const io::TaskGroup::ExceptionHandler& on_exception = {});

  // From an I/O thread. False (and the task is dropped) once stop() was called.
  bool spawn(std::string_view name, boost::asio::awaitable<void> task);

  // Takes one of the `shadows_max` places; false when all are taken.
  bool enter_shadow();
  void leave_shadow() { --shadows_; }

  // Cancels every task; returns when all have ended. From a coroutine on any thread; once.
  boost::asio::awaitable<void> stop();

 private:
  std::vector<std::unique_ptr<io::TaskGroup>> groups_;
  std::atomic<std::size_t> shadows_{0};
};

}  // namespace deepseek::gateway
