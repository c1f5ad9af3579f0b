// Consistent hashing with bounded loads: a key goes to the same replica as long as that one is
// there and not overloaded.
//
// Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables",
// 2005) rather than a ring or jump hash: shares follow the weights exactly and without virtual
// nodes, a replica that leaves moves only its own keys, one whose weight changes moves only the
// difference, and there is no state. It costs one logarithm per replica, about 10 ns; a ring pays
// from hundreds of replicas on. Jump hash knows no weights and no leaving from the middle.
//
// The bound (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018): no
// replica gets more than 1.25 times its fair share of the requests in flight. The next in the key's
// order takes what is over.
#include "gateway/balance/picking.hpp"
#include "gateway/balance/strategies.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace deepseek::gateway {
namespace {

constexpr double bound_factor = 1.25;

class ConsistentHash final : public Strategy {
 public:
  explicit ConsistentHash(std::span<const std::uint64_t> replica_ids)
      : ids_(replica_ids.begin(), replica_ids.end()) {}

  Choice choose(const ChoiceInput& input) override {
    const std::size_t count = std::min(input.replicas.size(), ids_.size());
    double in_flight = 1, weight = 0;  // with this request
    for (const ReplicaView& replica : input.replicas.first(count)) {
      if (!eligible(replica)) continue;
      in_flight += replica.in_flight;
      weight += replica.weight;
    }
    if (weight <= 0) return none_usable;
    constexpr double worst = std::numeric_limits<double>::infinity();
    double home_distance = worst, chosen_distance = worst;
    int home = -1, chosen = -1;
    for (std::size_t i = 0; i < count; ++i) {
      const ReplicaView& replica = input.replicas[i];
      if (!eligible(replica)) continue;
      const double distance = distance_of(input.hash_key, ids_[i], replica.weight);
      if (home < 0 || distance < home_distance) {
        home_distance = distance;
        home = static_cast<int>(i);
      }
      const double most = std::ceil(bound_factor * in_flight * replica.weight / weight);
      if (replica.in_flight + 1.0 > most) continue;
      if (chosen < 0 || distance < chosen_distance) {
        chosen_distance = distance;
        chosen = static_cast<int>(i);
      }
    }
    // Someone is below its bound, for the bounds sum to more than the requests.
    return {chosen, chosen == home ? "its hash belongs there"
                                   : "next by hash, because the first has its share"};
  }

 private:
  // Exponentially distributed with the weight as its rate: the smallest of several such numbers is
  // each one's with a chance in proportion to its weight.
  static double distance_of(std::uint64_t key, std::uint64_t id, std::uint32_t weight) {
    const double uniform = unit_interval(mix_bits(key ^ mix_bits(id)));
    return -std::log1p(-uniform) / weight;
  }

  std::vector<std::uint64_t> ids_;
};

}  // namespace

std::unique_ptr<Strategy> make_consistent_hash(std::span<const std::uint64_t> replica_ids) {
  return std::make_unique<ConsistentHash>(replica_ids);
}

}  // namespace deepseek::gateway
