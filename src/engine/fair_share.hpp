// Who has had how much: one Virtual Token Counter for each tenant, and one for each user of it.
//
// Pure; owned by the scheduler. After "Fairness in Serving Large Language Models" (Sheng et al.,
// OSDI '24): served tokens are charged, divided by the weight; who has been charged least goes
// first; who comes back after a pause is lifted to the least of those who are here, so that no
// credit is saved up. Here every step is charged with what it really computed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace deepseek::engine {

inline constexpr double kPromptTokenCost = 1;  // of one that was computed, not found in the cache
inline constexpr double kAnswerTokenCost = 2;

// Counters of one level: of tenants, or of the users of one tenant.
class VirtualCounters {
 public:
  // One more request of this name is here; `weight` counts from now on.
  void enter(const std::string& name, double weight);
  // One less. What it was charged stays known while it is ahead of those who are here.
  void leave(const std::string& name);
  void charge(const std::string& name, double cost);
  double served(std::string_view name) const;  // 0 if unknown
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    double served = 0;
    double weight = 1;
    std::int64_t present = 0;  // requests
  };
  double least_present() const;
  void forget();

  std::map<std::string, Entry, std::less<>> entries_;
  double floor_ = 0;  // what newcomers begin with when nobody is here
};

class FairShare {
 public:
  void enter(const std::string& tenant, const std::string& user, double weight);
  void leave(const std::string& tenant, const std::string& user);
  void charge(const std::string& tenant, const std::string& user, double cost);
  double of_tenant(std::string_view tenant) const { return tenants_.served(tenant); }
  double of_user(std::string_view tenant, std::string_view user) const;

 private:
  VirtualCounters tenants_;
  std::map<std::string, VirtualCounters, std::less<>> users_;  // of tenants that are known
};

}  // namespace deepseek::engine
