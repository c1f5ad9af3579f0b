// The makers of the single strategies, for make_strategy() and the tests. Each says in its file how
// it chooses.
#pragma once

#include "gateway/balance/strategy.hpp"

namespace deepseek::gateway {

std::unique_ptr<Strategy> make_priority();
std::unique_ptr<Strategy> make_weighted_round_robin(std::size_t replica_count);
std::unique_ptr<Strategy> make_least_in_flight();
std::unique_ptr<Strategy> make_power_of_two();
std::unique_ptr<Strategy> make_least_work();
std::unique_ptr<Strategy> make_cheapest();
std::unique_ptr<Strategy> make_fastest();
std::unique_ptr<Strategy> make_consistent_hash(std::span<const std::uint64_t> replica_ids);
std::unique_ptr<Strategy> make_cache_aware(std::size_t prefix_blocks_max);

}  // namespace deepseek::gateway
