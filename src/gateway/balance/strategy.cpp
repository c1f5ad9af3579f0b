#include "gateway/balance/strategy.hpp"

#include "gateway/balance/strategies.hpp"

namespace deepseek::gateway {

std::unique_ptr<Strategy> make_strategy(StrategyKind kind,
                                        std::span<const std::uint64_t> replica_ids,
                                        const StrategyOptions& options) {
  switch (kind) {
    case StrategyKind::priority:
      return make_priority();
    case StrategyKind::weighted_round_robin:
      return make_weighted_round_robin(replica_ids.size());
    case StrategyKind::least_in_flight:
      return make_least_in_flight();
    case StrategyKind::power_of_two:
      return make_power_of_two();
    case StrategyKind::least_work:
      return make_least_work();
    case StrategyKind::cheapest:
      return make_cheapest();
    case StrategyKind::fastest:
      return make_fastest();
    case StrategyKind::consistent_hash:
      return make_consistent_hash(replica_ids);
    case StrategyKind::cache_aware:
      return make_cache_aware(options.prefix_blocks_max);
  }
  return make_priority();
}

}  // namespace deepseek::gateway
