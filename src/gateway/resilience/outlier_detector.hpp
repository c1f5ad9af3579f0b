// Finds the backend that does worse than its peers, and takes it out for a while.
//
// Pure; one owner, who calls evaluate() every `interval` with what happened since the last call
// (BackendHealth::take_sample). Comparing with the others is what the breaker cannot do: when all
// are slow or failing alike, the fault is elsewhere and nobody is ejected.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct OutlierSample {
  std::uint64_t successes = 0;
  std::uint64_t failures = 0;      // those that count (failure_table)
  std::uint64_t first_tokens = 0;  // how many times are in the sum
  std::chrono::microseconds first_token_sum{};
};

struct OutlierOptions {
  base::Milliseconds interval{10'000};
  double memory = 0.7;                        // what remains of old samples at each evaluation
  double requests_min = 20;                   // of a backend and of its peers, to judge
  double failure_percent_min = 20;            // below it nobody is ejected for failures …
  double failure_factor_min = 3;              // … nor below this many times the peers' share
  double latency_factor_min = 4;              // of the peers' median time to first token …
  base::Milliseconds latency_gap_min{1'000};  // … and at least this much longer
  base::Milliseconds eject_time{30'000};      // the first time; once more for each further time
  base::Milliseconds eject_time_max{300'000};
  double ejected_percent_max = 50;  // of the backends, rounded down
};

struct Ejection {
  std::size_t index = 0;
  base::TimePoint until{};
  std::string_view reason;  // plain words, a literal
};

class OutlierDetector {
 public:
  OutlierDetector(std::size_t backends, const OutlierOptions& options)
      : options_(options), states_(backends) {}

  // One sample per backend, in the same order every time. Returns the newly ejected, worst first.
  std::vector<Ejection> evaluate(std::span<const OutlierSample> samples, base::TimePoint now);
  std::size_t ejected(base::TimePoint now) const;

 private:
  struct State {
    double successes = 0;
    double failures = 0;
    double first_tokens = 0;
    double first_token_us = 0;  // the sum
    std::uint32_t ejections = 0;
    base::TimePoint ejected_until{};
    base::TimePoint forgiven_at{};  // when one ejection is forgotten
  };
  struct Verdict {
    double badness = 0;  // 0: none; larger is worse
    std::string_view reason;
  };
  void remember(std::span<const OutlierSample> samples, base::TimePoint now);
  Verdict judge(std::size_t index, base::TimePoint now) const;
  double failure_badness(std::size_t index, base::TimePoint now) const;
  double latency_badness(std::size_t index, base::TimePoint now) const;
  Ejection eject(std::size_t index, std::string_view reason, base::TimePoint now);

  OutlierOptions options_;
  std::vector<State> states_;
};

}  // namespace deepseek::gateway
