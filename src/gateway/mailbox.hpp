// Hands items from the backend's owner thread to the one coroutine that reads them on its own
// thread.
//
// put() and close() come from the owner's thread; receive() from the reader's. The lock is held for
// moments, never across a suspension. Items are bounded by items_max; the credits given to the
// engine keep a well-behaved one below it.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace deepseek::gateway {

// Both ends hold the mailbox; the reader alone holds its alarm, so that a timer is only ever
// touched on its own thread.
template <class Item>
class Mailbox : public std::enable_shared_from_this<Mailbox<Item>> {
 public:
  using Alarm = std::shared_ptr<boost::asio::steady_timer>;

  Mailbox(const Alarm& alarm, std::size_t items_max)
      : executor_(alarm->get_executor()), alarm_(alarm), items_max_(items_max) {}

  static std::shared_ptr<Mailbox> make(const Alarm& alarm, std::size_t items_max) {
    return std::make_shared<Mailbox>(alarm, items_max);
  }

  // False when the bound is passed; the item is then lost and the caller ends the work.
  [[nodiscard]] bool put(Item&& item) {
    std::unique_lock lock(mutex_);
    if (error_) return true;
    if (items_.size() >= items_max_) return false;
    items_.push_back(std::move(item));
    wake(lock);
    return true;
  }

  // Nothing follows. The first error stays.
  void close(base::Error error) {
    std::unique_lock lock(mutex_);
    if (error_) return;
    error_ = std::move(error);
    wake(lock);
  }

  struct Taken {
    std::vector<Item> items;
    std::optional<base::Error> error;  // told after the last item was taken
  };
  Taken take() {
    const std::lock_guard lock(mutex_);
    Taken taken;
    taken.items.swap(items_);
    if (taken.items.empty()) taken.error = error_;
    return taken;
  }

 private:
  void wake(std::unique_lock<std::mutex>& lock) {
    const bool posted = std::exchange(wake_posted_, true);
    lock.unlock();
    if (posted) return;
    boost::asio::post(executor_, [self = this->shared_from_this()] {
      self->wake_arrived();
      if (const auto alarm = self->alarm_.lock()) alarm->cancel();
    });
  }
  void wake_arrived() {
    const std::lock_guard lock(mutex_);
    wake_posted_ = false;
  }

  boost::asio::any_io_executor executor_;
  std::weak_ptr<boost::asio::steady_timer> alarm_;
  const std::size_t items_max_;
  std::mutex mutex_;
  std::vector<Item> items_;
  std::optional<base::Error> error_;
  bool wake_posted_ = false;
};

}  // namespace deepseek::gateway
