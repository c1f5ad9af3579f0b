#include "engine/fair_share.hpp"

#include <algorithm>
#include <limits>

namespace deepseek::engine {
namespace {

constexpr std::size_t kAbsentMax = 1024;  // names that are remembered although they are not here

}  // namespace

// The least of those who are here; what newcomers get when nobody is.
double VirtualCounters::least_present() const {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, entry] : entries_) {
    if (entry.present > 0) least = std::min(least, entry.served);
  }
  return least == std::numeric_limits<double>::infinity() ? floor_ : least;
}

void VirtualCounters::enter(const std::string& name, double weight) {
  const double least = least_present();
  Entry& entry = entries_[name];
  if (entry.present == 0) entry.served = std::max(entry.served, least);
  entry.weight = std::max(weight, 1e-6);
  ++entry.present;
}

void VirtualCounters::leave(const std::string& name) {
  const auto entry = entries_.find(name);
  if (entry == entries_.end() || --entry->second.present > 0) return;
  floor_ = std::max(floor_, entry->second.served);
  forget();
}

// Those who would be lifted anyway need not be known, and of the others only so many.
void VirtualCounters::forget() {
  const double least = least_present();
  std::erase_if(entries_, [least](const auto& entry) {
    return entry.second.present == 0 && entry.second.served <= least;
  });
  if (entries_.size() <= kAbsentMax) return;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.present == 0; });
}

void VirtualCounters::charge(const std::string& name, double cost) {
  const auto entry = entries_.find(name);
  if (entry != entries_.end()) entry->second.served += cost / entry->second.weight;
}

double VirtualCounters::served(std::string_view name) const {
  const auto entry = entries_.find(name);
  return entry == entries_.end() ? 0 : entry->second.served;
}

void FairShare::enter(const std::string& tenant, const std::string& user, double weight) {
  tenants_.enter(tenant, weight);
  users_[tenant].enter(user, 1);
}

void FairShare::leave(const std::string& tenant, const std::string& user) {
  tenants_.leave(tenant);
  const auto users = users_.find(tenant);
  if (users == users_.end()) return;
  users->second.leave(user);
  if (users->second.size() == 0) users_.erase(users);
}

void FairShare::charge(const std::string& tenant, const std::string& user, double cost) {
  tenants_.charge(tenant, cost);
  const auto users = users_.find(tenant);
  if (users != users_.end()) users->second.charge(user, cost);
}

double FairShare::of_user(std::string_view tenant, std::string_view user) const {
  const auto users = users_.find(tenant);
  return users == users_.end() ? 0 : users->second.served(user);
}

}  // namespace deepseek::engine
