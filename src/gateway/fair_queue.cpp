#include "gateway/fair_queue.hpp"

#include <algorithm>

namespace deepseek::gateway {

std::optional<FairQueue::Ticket> FairQueue::push(std::string_view tenant, double weight,
                                                 std::int32_t priority) {
  if (places_.size() >= depth_max_) return std::nullopt;
  const Ticket ticket = next_++;
  Level& level = levels_[priority];
  Tenant& owner = level.tenants[std::string(tenant)];
  const double tag = std::max(level.now, owner.finish);
  owner.finish = tag + 1 / std::max(weight, 1e-6);
  ++owner.waiting;
  level.entries.insert({tag, ticket});
  places_.emplace(ticket, Place{priority, tag, std::string(tenant)});
  return ticket;
}

void FairQueue::put_back(Ticket ticket, std::string_view tenant, std::int32_t priority) {
  Level& level = levels_[priority];
  const double tag = level.entries.empty() ? level.now : level.entries.begin()->tag - 1e-9;
  ++level.tenants[std::string(tenant)].waiting;
  level.entries.insert({tag, ticket});
  places_.emplace(ticket, Place{priority, tag, std::string(tenant)});
}

std::optional<FairQueue::Ticket> FairQueue::pop() {
  if (places_.empty()) return std::nullopt;
  Level& level = levels_.begin()->second;
  const Entry first = *level.entries.begin();
  level.now = std::max(level.now, first.tag);
  const auto place = places_.extract(first.ticket);
  take_out(first.ticket, place.mapped());
  return first.ticket;
}

void FairQueue::remove(Ticket ticket) {
  const auto place = places_.extract(ticket);
  if (!place.empty()) take_out(ticket, place.mapped());
}

// A tenant is forgotten with its last request: who comes back later begins at the level's time. A
// level is forgotten with its last tenant.
void FairQueue::take_out(Ticket ticket, const Place& place) {
  const auto level = levels_.find(place.priority);
  level->second.entries.erase({place.tag, ticket});
  const auto tenant = level->second.tenants.find(place.tenant);
  if (--tenant->second.waiting == 0 && tenant->second.finish <= level->second.now) {
    level->second.tenants.erase(tenant);
  }
  if (level->second.entries.empty()) levels_.erase(level);
}

}  // namespace deepseek::gateway
