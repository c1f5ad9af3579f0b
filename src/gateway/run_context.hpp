// What the gateway knows of a request when it begins to look for an answer.
#pragma once

#include "gateway/attempt_plan.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/route_group.hpp"
#include "gateway/run_clock.hpp"
#include "gateway/side_work.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace deepseek::gateway {

struct RunOptions {
  PlanOptions plan{};
  std::size_t continuation_bytes_max = 1u << 20;
  base::Milliseconds request_timeout{600'000};
};

struct RunContext {
  const RunOptions& options;
  RouteGroup& group;
  RequestTraits traits{};
  std::vector<std::uint64_t> prefix_blocks{};  // for cache_aware; traits need not refer to them
  std::string tenant{};
  double weight = 1;          // of the tenant
  std::int32_t priority = 0;  // in the line for a busy backend
  base::TimePoint arrived{};
  AttemptObserver* observer = nullptr;  // not owned; may be null
  SideWork* side_work = nullptr;        // not owned; null: nothing is hedged
  RunClock* clock = nullptr;            // not owned; null: the system's
};

}  // namespace deepseek::gateway
