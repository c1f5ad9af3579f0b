#include "gateway/resilience/outlier_detector.hpp"

#include <algorithm>
#include <cmath>

namespace deepseek::gateway {

using base::TimePoint;

std::size_t OutlierDetector::ejected(TimePoint now) const {
  return static_cast<std::size_t>(std::count_if(
      states_.begin(), states_.end(), [&](const State& s) { return now < s.ejected_until; }));
}

void OutlierDetector::remember(std::span<const OutlierSample> samples, TimePoint now) {
  for (std::size_t i = 0; i < std::min(samples.size(), states_.size()); ++i) {
    State& state = states_[i];
    const OutlierSample& sample = samples[i];
    const auto age = [&](double& value, double added) { value = value * options_.memory + added; };
    age(state.successes, static_cast<double>(sample.successes));
    age(state.failures, static_cast<double>(sample.failures));
    age(state.first_tokens, static_cast<double>(sample.first_tokens));
    age(state.first_token_us, static_cast<double>(sample.first_token_sum.count()));
    if (state.ejections > 0 && now >= state.forgiven_at) {
      --state.ejections;
      state.forgiven_at = now + options_.eject_time;
    }
  }
}

// The difference of two shares, in standard errors (a two-proportion z-test), if it is large enough
// to matter at all.
double OutlierDetector::failure_badness(std::size_t index, TimePoint now) const {
  const State& self = states_[index];
  double peer_failures = 0, peer_requests = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (i == index || now < states_[i].ejected_until) continue;
    peer_failures += states_[i].failures;
    peer_requests += states_[i].failures + states_[i].successes;
  }
  const double requests = self.failures + self.successes;
  if (requests < options_.requests_min || peer_requests < options_.requests_min) return 0;
  const double share = self.failures / requests;
  const double peers = peer_failures / peer_requests;
  if (share * 100 < options_.failure_percent_min) return 0;
  if (share < peers * options_.failure_factor_min) return 0;
  const double all = (self.failures + peer_failures) / (requests + peer_requests);
  const double error = std::sqrt(all * (1 - all) * (1 / requests + 1 / peer_requests));
  constexpr double errors_min = 2;  // less is chance, in one of forty evaluations
  const double errors = error > 0 ? (share - peers) / error : 0;
  return errors >= errors_min ? errors : 0;
}

double OutlierDetector::latency_badness(std::size_t index, TimePoint now) const {
  const auto mean_of = [&](const State& state) -> double {
    return state.first_tokens < options_.requests_min ? 0
                                                      : state.first_token_us / state.first_tokens;
  };
  std::vector<double> peers;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (i == index || now < states_[i].ejected_until) continue;
    if (const double mean = mean_of(states_[i]); mean > 0) peers.push_back(mean);
  }
  const double own = mean_of(states_[index]);
  if (own == 0 || peers.empty()) return 0;
  const auto middle = peers.begin() + static_cast<std::ptrdiff_t>((peers.size() - 1) / 2);
  std::nth_element(peers.begin(), middle, peers.end());
  const double gap_us =
      static_cast<double>(std::chrono::microseconds(options_.latency_gap_min).count());
  if (own < *middle * options_.latency_factor_min || own < *middle + gap_us) return 0;
  return own / *middle;
}

OutlierDetector::Verdict OutlierDetector::judge(std::size_t index, TimePoint now) const {
  if (now < states_[index].ejected_until) return {};
  // Failing is worse than being slow, however slow: the first to go.
  constexpr double failing = 1e6;
  if (const double errors = failure_badness(index, now); errors > 0) {
    return {failing + errors, "fails far more often than the other backends"};
  }
  if (const double factor = latency_badness(index, now); factor > 0) {
    return {factor, "is far slower than the other backends"};
  }
  return {};
}

Ejection OutlierDetector::eject(std::size_t index, std::string_view reason, TimePoint now) {
  State& state = states_[index];
  ++state.ejections;
  const base::Milliseconds time = std::min(
      options_.eject_time * static_cast<std::int64_t>(state.ejections), options_.eject_time_max);
  state.ejected_until = now + time;
  state.forgiven_at = state.ejected_until + time;
  // It returns with a clean sheet, or its old results would eject it again at once.
  state.successes = state.failures = state.first_tokens = state.first_token_us = 0;
  return {index, state.ejected_until, reason};
}

std::vector<Ejection> OutlierDetector::evaluate(std::span<const OutlierSample> samples,
                                                TimePoint now) {
  remember(samples, now);
  struct Candidate {
    std::size_t index;
    Verdict verdict;
  };
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (const Verdict verdict = judge(i, now); verdict.badness > 0) {
      candidates.push_back({i, verdict});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.verdict.badness != b.verdict.badness ? a.verdict.badness > b.verdict.badness
                                                  : a.index < b.index;
  });
  const auto most = static_cast<std::size_t>(static_cast<double>(states_.size()) *
                                             options_.ejected_percent_max / 100);
  std::vector<Ejection> out;
  for (const Candidate& candidate : candidates) {
    if (ejected(now) >= most) break;
    out.push_back(eject(candidate.index, candidate.verdict.reason, now));
  }
  return out;
}

}  // namespace deepseek::gateway
