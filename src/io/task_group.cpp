#include "io/task_group.hpp"

#include "io/event.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <cassert>
#include <exception>
#include <list>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

struct TaskGroup::State {
  struct Task {
    asio::cancellation_signal signal;
    bool began = false;
  };

  State(asio::any_io_executor given_executor, ExceptionHandler handler)
      : executor(std::move(given_executor)), on_exception(std::move(handler)), empty(executor) {}

  void ended(std::string_view name, std::list<Task>::iterator place,
             const std::exception_ptr& exception) {
    tasks.erase(place);
    if (exception) report(name, exception);
    if (tasks.empty()) empty.notify();
  }

  void report(std::string_view name, const std::exception_ptr& exception) const {
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(exception);
    } catch (const boost::system::system_error& error) {
      // A cancelled task leaves by this exception; it is not a bug.
      if (stopping && error.code() == asio::error::operation_aborted) return;
      what = error.what();
    } catch (const std::exception& error) {
      what = error.what();
    } catch (...) {
    }
    if (on_exception) on_exception(name, what);
  }

  asio::any_io_executor executor;
  ExceptionHandler on_exception;
  Event empty;
  std::list<Task> tasks;  // the running ones
  bool stopping = false;
};

namespace {

template <class State, class Task>
asio::awaitable<void> run_task(std::shared_ptr<State> state, Task& self,
                               asio::awaitable<void> task) {
  self.began = true;
  if (state->stopping) co_return;
  co_await std::move(task);
}

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor, ExceptionHandler on_exception)
    : state_(std::make_shared<State>(std::move(executor), std::move(on_exception))) {}

TaskGroup::~TaskGroup() {
  assert(state_->tasks.empty() && "stop() or join() a TaskGroup before it is destroyed");
}

bool TaskGroup::spawn(std::string_view name, asio::awaitable<void> task) {
  if (state_->stopping) return false;
  const auto place = state_->tasks.emplace(state_->tasks.end());
  asio::co_spawn(
      state_->executor, run_task(state_, *place, std::move(task)),
      asio::bind_cancellation_slot(
          place->signal.slot(), [state = state_, name, place](const std::exception_ptr& exception) {
            state->ended(name, place, exception);
          }));
  return true;
}

asio::awaitable<void> TaskGroup::stop() {
  const std::shared_ptr<State> state = state_;
  state->stopping = true;
  // A task may end, and leave the list, while it is being cancelled. One that has not begun is left
  // alone: Asio throws out of run() when it is cancelled so early; it sees `stopping` and returns.
  for (auto place = state->tasks.begin(); place != state->tasks.end();) {
    auto current = place++;
    if (current->began) current->signal.emit(asio::cancellation_type::terminal);
  }
  while (!state->tasks.empty()) {
    co_await state->empty.wait();
  }
}

asio::awaitable<void> TaskGroup::join() {
  const std::shared_ptr<State> state = state_;
  while (!state->tasks.empty()) {
    co_await state->empty.wait();
  }
}

std::size_t TaskGroup::size() const {
  return state_->tasks.size();
}

asio::any_io_executor TaskGroup::executor() const {
  return state_->executor;
}

asio::awaitable<void> run_on(asio::any_io_executor executor, asio::awaitable<void> task) {
  // Not cancelled along with the caller: cancelling a task that has not begun throws out of run().
  co_await asio::co_spawn(
      executor, std::move(task),
      asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

}  // namespace deepseek::io
