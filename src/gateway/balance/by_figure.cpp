// Strategies that go by a figure of the replicas: cheapest, fastest.
#include "gateway/balance/picking.hpp"
#include "gateway/balance/strategies.hpp"

#include <algorithm>
#include <cmath>

namespace deepseek::gateway {
namespace {

class Cheapest final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    RandomSequence random(input.random);
    const auto compare = [](const ReplicaView& a, const ReplicaView& b) {
      // Prices are sums of products: what differs by rounding alone is the same price.
      const double same = 1e-9 * std::max(std::abs(a.price), std::abs(b.price));
      if (std::abs(a.price - b.price) <= same) return compare_load(a, b);
      return a.price < b.price ? -1 : 1;
    };
    const int best = pick_best(input.replicas, random, accept_all, compare);
    return best < 0 ? none_usable : Choice{best, "cheapest for this request, now"};
  }
};

// The shortest time to first token. Those within a quarter (and 10 ms) of the best count as equally
// fast, and of two of them the less loaded is chosen; or the fastest one would be made slow.
//
// A replica without figures gets one request at a time until it has some. One in 32 requests goes
// to anyone, so that a slow start, or a slow hour, does not exclude a replica for ever.
class Fastest final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    RandomSequence random(input.random);
    const auto& replicas = input.replicas;
    const auto unmeasured = [&](std::size_t i) { return replicas[i].first_token_ms <= 0; };
    const int fresh = pick_random(replicas, random, [&](std::size_t i) {
      return unmeasured(i) && replicas[i].in_flight == 0;
    });
    if (fresh >= 0) return {fresh, "its speed is not known yet"};
    if (random.below(explore_one_in) == 0) {
      const int any = pick_random(replicas, random, accept_all);
      return any < 0 ? none_usable : Choice{any, "to measure its speed again"};
    }
    double best = 0;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      if (!eligible(replicas[i]) || unmeasured(i)) continue;
      if (best <= 0 || replicas[i].first_token_ms < best) best = replicas[i].first_token_ms;
    }
    if (best <= 0) {
      const int any = pick_least_loaded(replicas, random);
      return any < 0 ? none_usable : Choice{any, "no speed is known yet"};
    }
    const double most = best * near_factor + near_ms;
    const int chosen = pick_of_two(replicas, random, [&](std::size_t i) {
      return !unmeasured(i) && replicas[i].first_token_ms <= most;
    });
    return {chosen, "among the fastest to the first token"};
  }

 private:
  static constexpr std::uint64_t explore_one_in = 32;
  static constexpr double near_factor = 1.25;
  static constexpr double near_ms = 10;
};

}  // namespace

std::unique_ptr<Strategy> make_cheapest() {
  return std::make_unique<Cheapest>();
}

std::unique_ptr<Strategy> make_fastest() {
  return std::make_unique<Fastest>();
}

}  // namespace deepseek::gateway
