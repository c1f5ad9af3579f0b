#include "gateway/resilience/retry_budget.hpp"

namespace deepseek::gateway {

std::uint64_t RetryBudget::left(base::TimePoint now) {
  const auto window_ms = static_cast<std::uint64_t>(options_.window.count());
  const std::uint64_t share = counts_.total(requests, now) * options_.percent / 100;
  const std::uint64_t least = options_.per_second_min * window_ms / 1000;
  const std::uint64_t taken = counts_.total(retries, now);
  return share + least > taken ? share + least - taken : 0;
}

bool RetryBudget::take(base::TimePoint now) {
  if (left(now) == 0) return false;
  counts_.add(retries, now);
  return true;
}

}  // namespace deepseek::gateway
