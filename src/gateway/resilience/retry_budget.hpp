// Keeps retries a small share of the traffic, so that they never make an outage worse.
//
// Pure; one owner (one per route; the caller locks). All in constant time.
#pragma once

#include "base/clock.hpp"
#include "gateway/resilience/sliding_counts.hpp"

namespace deepseek::gateway {

struct RetryBudgetOptions {
  std::uint32_t percent = 20;        // retries per 100 requests of the window
  std::uint32_t per_second_min = 3;  // always allowed, so that a quiet server can retry at all
  base::Milliseconds window{10'000};
};

class RetryBudget {
 public:
  explicit RetryBudget(const RetryBudgetOptions& options)
      : options_(options), counts_(options.window) {}

  // A client's request begins (not an attempt).
  void requested(base::TimePoint now) { counts_.add(requests, now); }
  // True: one retry is granted and counted. False: answer with the last error.
  bool take(base::TimePoint now);
  // How many retries the window has left, for status pages.
  std::uint64_t left(base::TimePoint now);

 private:
  enum Kind : std::size_t { requests, retries };

  RetryBudgetOptions options_;
  SlidingCounts<2> counts_;
};

}  // namespace deepseek::gateway
