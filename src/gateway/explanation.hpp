// What the gateway would do with a request and why, and how its backends are: for `deepseek route
// explain`, the operator's pages and metrics.
//
// Values. Header values are never among them: they may be keys.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/resilience/backend_health.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace deepseek::gateway {

struct BackendReport {
  std::string name;
  bool local = false;  // an engine of ours
  BackendStatus status;
  HealthView health;
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_max = 0;  // 0: no bound of ours

  // It may be asked now.
  bool usable() const {
    return status.state == BackendState::ready && health.availability <= Availability::probe;
  }
};

struct RouteExplanation {
  std::string model;    // its own name
  std::string problem;  // why no route takes the request; empty: one does
  struct Rule {
    std::string name;     // "routes[0]"
    std::string verdict;  // "fits", or what does not
  };
  std::vector<Rule> rules;  // up to the one that fits, and those behind it
  std::string route;        // the name of the first that fits
  std::string strategy;
  struct Candidate {
    BackendReport backend;
    double price = 0;     // of this request, in its currency
    std::string why_not;  // it is not to be chosen now; empty: it may be
  };
  std::vector<Candidate> candidates;  // in the route's order
  std::string chosen;                 // empty: none
  std::string reason;                 // of the choice, or why there is none
};

}  // namespace deepseek::gateway
