#include "gateway/resilience/hedge_policy.hpp"

#include <algorithm>

namespace deepseek::gateway {

std::optional<base::Milliseconds> HedgePolicy::delay(bool whole, base::TimePoint now) {
  const LatencyQuantiles& known = (whole ? whole_ : streamed_).quantiles(now);
  if (known.count < options_.answers_min) return std::nullopt;
  return std::max(std::chrono::ceil<base::Milliseconds>(known.p95), options_.delay_min);
}

}  // namespace deepseek::gateway
