// Where requests wait when every backend of their route has all its places taken.
//
// One per route group; thread-safe. Order is FairQueue's. Who is woken tries once more to take a
// place; in vain, it passes the call on to the next and waits on in its old position, so that one
// who may not have the free place never keeps it from others. A call reaches each guest once at
// most: when nobody can use the place, all of them wait for the next one.
#pragma once

#include "gateway/fair_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace deepseek::gateway {

class WaitRoom {
 public:
  using Ticket = FairQueue::Ticket;
  // Called from any thread, under a lock: it only posts.
  using Waker = std::function<void()>;

  explicit WaitRoom(std::size_t depth_max) : queue_(depth_max) {}

  struct Guest {
    std::string_view tenant;
    double weight = 1;
    std::int32_t priority = 0;
  };
  // Nothing when the room is full.
  std::optional<Ticket> enter(const Guest& guest, Waker waker);
  // The request goes on, or was given up (after pass_on(), should it have been called just now).
  void leave(Ticket ticket);
  // If it was called: it could not use the place, so the next is called, and it waits on.
  void pass_on(Ticket ticket);
  // A place became free. False when nobody waits for a call.
  bool call_one();

  bool anyone() const;
  std::size_t depth() const;

 private:
  struct Seat {
    Waker waker;
    std::string tenant;
    std::int32_t priority = 0;
    bool called = false;
  };
  bool call_next();
  void seat_again();

  mutable std::mutex mutex_;
  FairQueue queue_;
  std::unordered_map<Ticket, Seat> seats_;  // also of those that were called
  std::vector<Ticket> passed_;  // called in vain while the call goes on; not in the queue
};

}  // namespace deepseek::gateway
