// Choosing one of several backends (here: replicas) for a request.
//
// One object per route, not thread-safe: the route's owner holds one mutex around choose() and
// forget(), which do no I/O and, but for their making, allocate nothing. Replicas are named by
// their place in the list, which never changes during a strategy's life; who is out of order just
// now is `usable = false`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace deepseek::gateway {

// What a strategy sees of one candidate, sampled at the moment of the choice.
struct ReplicaView {
  std::uint32_t weight = 1;  // 0: gets no requests
  bool usable = true;        // healthy, breaker closed or its probe free, not cooling down, below
                             // in_flight_max, not tried yet
  std::uint32_t in_flight = 0;   // our own requests
  double work_tokens = 0;        // queued and in flight: ours and the replica's own fresh report
  double tokens_per_second = 0;  // 0: unknown
  double price = 0;              // of this request on this replica, now
  double first_token_ms = 0;     // recent average; 0: unknown
};

struct ChoiceInput {
  std::span<const ReplicaView> replicas;
  std::uint64_t random = 0;    // 64 uniform bits
  std::uint64_t hash_key = 0;  // consistent_hash: what shall stay together (stable_hash of it)
  std::span<const std::uint64_t> prefix_blocks{};  // cache_aware: see prefix_blocks.hpp
  double request_tokens = 0;                       // least_work: estimate for this request
};

struct Choice {
  int index = -1;           // -1: none is usable
  std::string_view reason;  // a literal in plain words, fit for a response header
};

enum class StrategyKind : std::uint8_t {
  priority,
  weighted_round_robin,
  least_in_flight,
  power_of_two,
  least_work,
  cheapest,
  fastest,
  consistent_hash,
  cache_aware,
};
inline constexpr std::size_t strategy_kinds = 9;

// The names in the configuration: those of the enumerators, in their order.
inline constexpr std::array<std::string_view, strategy_kinds> strategy_names{
    "priority", "weighted_round_robin", "least_in_flight", "power_of_two", "least_work", "cheapest",
    "fastest",  "consistent_hash",      "cache_aware"};
constexpr std::string_view to_string(StrategyKind kind) {
  return strategy_names[static_cast<std::size_t>(kind)];
}

class Strategy {
 public:
  virtual ~Strategy() = default;
  virtual Choice choose(const ChoiceInput& input) = 0;
  // The replica began anew, with empty caches.
  virtual void forget(std::size_t) {}
};

struct StrategyOptions {
  std::size_t prefix_blocks_max = 65'536;  // cache_aware: 24 bytes each; stands for 4 MB of prompts
};

// `replica_ids` name the replicas for good (stable_hash of their names), so that consistent_hash
// gives the same answers in every gateway and after every change of the list. At most
// `cache_replicas_max` of them are known to cache_aware; others get requests by load alone.
std::unique_ptr<Strategy> make_strategy(StrategyKind kind,
                                        std::span<const std::uint64_t> replica_ids,
                                        const StrategyOptions& options = {});
inline constexpr std::size_t cache_replicas_max = 64;

}  // namespace deepseek::gateway
