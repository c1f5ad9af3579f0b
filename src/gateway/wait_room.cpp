#include "gateway/wait_room.hpp"

#include <utility>

namespace deepseek::gateway {

std::optional<WaitRoom::Ticket> WaitRoom::enter(const Guest& guest, Waker waker) {
  const std::lock_guard lock(mutex_);
  const auto ticket = queue_.push(guest.tenant, guest.weight, guest.priority);
  if (!ticket) return std::nullopt;
  seats_.emplace(*ticket, Seat{std::move(waker), std::string(guest.tenant), guest.priority, false});
  return ticket;
}

void WaitRoom::leave(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  queue_.remove(ticket);
  std::erase(passed_, ticket);
  const auto seat = seats_.extract(ticket);
  // It took the place: the call is over.
  if (!seat.empty() && seat.mapped().called) seat_again();
}

void WaitRoom::pass_on(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const auto seat = seats_.find(ticket);
  if (seat == seats_.end() || !std::exchange(seat->second.called, false)) return;
  passed_.push_back(ticket);
  if (!call_next()) seat_again();
}

// In their old positions: the first that was called is the first again.
void WaitRoom::seat_again() {
  for (; !passed_.empty(); passed_.pop_back()) {
    const Seat& seat = seats_.at(passed_.back());
    queue_.put_back(passed_.back(), seat.tenant, seat.priority);
  }
}

bool WaitRoom::call_one() {
  const std::lock_guard lock(mutex_);
  seat_again();
  return call_next();
}

bool WaitRoom::call_next() {
  const auto ticket = queue_.pop();
  if (!ticket) return false;
  Seat& seat = seats_.at(*ticket);
  seat.called = true;
  seat.waker();
  return true;
}

bool WaitRoom::anyone() const {
  const std::lock_guard lock(mutex_);
  return !seats_.empty();
}

std::size_t WaitRoom::depth() const {
  const std::lock_guard lock(mutex_);
  return seats_.size();
}

}  // namespace deepseek::gateway
