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
  seats_.erase(ticket);
}

void WaitRoom::pass_on(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  const auto seat = seats_.find(ticket);
  if (seat == seats_.end() || !std::exchange(seat->second.called, false)) return;
  call_next();
  queue_.put_back(ticket, seat->second.tenant, seat->second.priority);
}

bool WaitRoom::call_one() {
  const std::lock_guard lock(mutex_);
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
