// Strategies that go by what the replicas have to do: least in flight, power of two, least work.
#include "gateway/balance/picking.hpp"
#include "gateway/balance/strategies.hpp"

namespace deepseek::gateway {
namespace {

class LeastInFlight final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    RandomSequence random(input.random);
    const int best = pick_least_loaded(input.replicas, random);
    return best < 0 ? none_usable : Choice{best, "fewest requests in flight for its weight"};
  }
};

// Nearly as even as the minimum of all, and several gateways that know nothing of each other do not
// all run to the same replica.
class PowerOfTwo final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    RandomSequence random(input.random);
    const int best = pick_of_two(input.replicas, random, accept_all);
    return best < 0 ? none_usable : Choice{best, "less loaded of two chosen at random"};
  }
};

// The shortest time until the request is done: (work there + the request) / throughput. A replica
// whose throughput is unknown is taken for average by its weight; if none is known, the weights
// alone count.
class LeastWork final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    double known_speed = 0, known_weight = 0;
    for (const ReplicaView& replica : input.replicas) {
      if (!eligible(replica) || replica.tokens_per_second <= 0) continue;
      known_speed += replica.tokens_per_second;
      known_weight += replica.weight;
    }
    const double per_weight = known_weight > 0 ? known_speed / known_weight : 1;
    const auto time_of = [&](const ReplicaView& replica) {
      const double speed =
          replica.tokens_per_second > 0 ? replica.tokens_per_second : per_weight * replica.weight;
      return (replica.work_tokens + input.request_tokens) / speed;
    };
    const auto compare = [&](const ReplicaView& a, const ReplicaView& b) {
      const double left = time_of(a), right = time_of(b);
      return left < right ? -1 : left > right ? 1 : 0;
    };
    RandomSequence random(input.random);
    const int best = pick_best(input.replicas, random, accept_all, compare);
    return best < 0 ? none_usable : Choice{best, "least work for its speed"};
  }
};

}  // namespace

std::unique_ptr<Strategy> make_least_in_flight() {
  return std::make_unique<LeastInFlight>();
}

std::unique_ptr<Strategy> make_power_of_two() {
  return std::make_unique<PowerOfTwo>();
}

std::unique_ptr<Strategy> make_least_work() {
  return std::make_unique<LeastWork>();
}

}  // namespace deepseek::gateway
