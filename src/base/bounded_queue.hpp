// A first-in first-out queue with a named bound. Pure; not thread-safe: its owner's thread alone
// touches it.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

namespace deepseek::base {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t depth_max) : depth_max_(depth_max) {}

  // False when the queue is full; `item` is then untouched and the caller names the limit in its
  // refusal.
  [[nodiscard]] bool push(T&& item) {
    if (full()) return false;
    items_.push_back(std::move(item));
    return true;
  }

  std::optional<T> pop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  // How many items were thrown out.
  template <class Predicate>
  std::size_t remove_if(Predicate matches) {
    return std::erase_if(items_, matches);
  }

  T& front() { return items_.front(); }  // not empty
  bool empty() const { return items_.empty(); }
  bool full() const { return items_.size() >= depth_max_; }
  std::size_t depth() const { return items_.size(); }
  std::size_t depth_max() const { return depth_max_; }

 private:
  std::size_t depth_max_;
  std::deque<T> items_;
};

}  // namespace deepseek::base
