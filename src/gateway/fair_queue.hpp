// The order in which waiting requests go on: by priority, then fairly among tenants by their
// weights, then first come, first served.
//
// Pure; one owner, who locks. Among the requests of one priority it is start-time fair queueing
// (Goyal, Vin, Cheng, "Start-time Fair Queueing", 1996) with one unit of work for each request: a
// tenant with weight 2 goes on twice as often as one with weight 1, and a flood of one tenant never
// holds up another. Bounded; all operations take logarithmic time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

namespace deepseek::gateway {

class FairQueue {
 public:
  using Ticket = std::uint64_t;

  explicit FairQueue(std::size_t depth_max) : depth_max_(depth_max) {}

  // Nothing when the queue is full. Higher priorities go first.
  std::optional<Ticket> push(std::string_view tenant, double weight, std::int32_t priority);
  // The next one, taken out; nothing when nobody waits.
  std::optional<Ticket> pop();
  // It no longer waits. Tickets that are not there are ignored.
  void remove(Ticket ticket);
  // It was popped in vain and waits on, in front of all that have its priority.
  void put_back(Ticket ticket, std::string_view tenant, std::int32_t priority);

  std::size_t depth() const { return places_.size(); }
  bool empty() const { return places_.empty(); }

 private:
  struct Entry {
    double tag = 0;  // virtual start time
    Ticket ticket = 0;
    bool operator<(const Entry& other) const {
      return tag != other.tag ? tag < other.tag : ticket < other.ticket;
    }
  };
  struct Tenant {
    double finish = 0;  // virtual; of its last request
    std::size_t waiting = 0;
  };
  struct Level {
    std::set<Entry> entries;
    double now = 0;  // virtual time: the start tag of the last one that went on
    std::unordered_map<std::string, Tenant> tenants;
  };
  struct Place {
    std::int32_t priority = 0;
    double tag = 0;
    std::string tenant;
  };
  void take_out(Ticket ticket, const Place& place);

  std::size_t depth_max_;
  Ticket next_ = 1;
  std::map<std::int32_t, Level, std::greater<>> levels_;
  std::unordered_map<Ticket, Place> places_;
};

}  // namespace deepseek::gateway
