// The candidates of one route, and the choice among them for one attempt.
//
// Made with the gateway's configuration, shared by all I/O threads; a mutex guards the strategy and
// the budgets and is held for less than a microsecond. The targets outlive it.
#pragma once

#include "gateway/attempt_plan.hpp"
#include "gateway/resilience/hedge_policy.hpp"
#include "gateway/resilience/retry_budget.hpp"
#include "gateway/target.hpp"
#include "gateway/wait_room.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace deepseek::gateway {

struct RouteGroupOptions {
  std::string name;  // "models/deepseek-*", for messages and the header
  std::vector<Target*> targets;
  StrategyKind strategy = StrategyKind::priority;
  std::vector<std::uint32_t> split;  // percent per target; empty: no split
  base::Milliseconds first_token_goal{0};
  bool hedge = false;
  Target* shadow = nullptr;  // gets copies of requests, whose answers nobody sees; null: none
  std::uint32_t shadow_percent = 100;
  std::string zone{};  // of this server: targets there are preferred; empty: none is
  std::size_t queue_depth_max = 1024;
  base::Milliseconds queue_timeout{30'000};
  RetryBudgetOptions retry_budget{};
  RetryBudgetOptions hedge_budget{};
};

// What the choice may depend on; computed once for a request.
struct RequestTraits {
  std::uint64_t hash_key = 0;
  std::int64_t prompt_tokens = 0;  // estimated
  std::int64_t total_tokens = 0;   // with the answer
  bool whole = false;              // the client waits for all of the answer
  std::span<const std::uint64_t> prefix_blocks{};
};

class RouteGroup {
 public:
  explicit RouteGroup(RouteGroupOptions options);
  ~RouteGroup();
  RouteGroup(const RouteGroup&) = delete;
  RouteGroup& operator=(const RouteGroup&) = delete;

  struct Selected {
    std::size_t index = 0;
    TargetUse use;
    std::string_view reason;  // a literal
  };
  struct Nobody {
    bool busy = false;                         // one of them has no place free
    bool limited = false;                      // one of them asked for a pause
    std::optional<base::TimePoint> back_at{};  // when the first of them ends its pause
    std::string why;
  };
  // Chooses among those not in `excluded` and takes a place there. When none is in order, one that
  // is believed broken is tried all the same, unless it asked for a pause. Who has not waited
  // (`called`) stays behind those that wait.
  std::variant<Selected, Nobody> select(CandidateSet excluded, const RequestTraits& traits,
                                        std::uint64_t random, base::TimePoint now,
                                        bool called = false);

  // A place in the line for a backend that is busy; nothing when the line is full. The waker is
  // called when it is time to select() again, perhaps before this returns.
  std::optional<WaitRoom::Ticket> wait_in_line(const WaitRoom::Guest& guest, WaitRoom::Waker waker);
  WaitRoom& room() { return room_; }

  // Candidates that cannot serve the model at all.
  CandidateSet unable(std::string_view model) const;
  std::size_t size() const { return options_.targets.size(); }
  Target& target(std::size_t index) const { return *options_.targets[index]; }
  const RouteGroupOptions& options() const { return options_; }
  // Does it look at prompt prefixes?
  bool reads_prefixes() const { return options_.strategy == StrategyKind::cache_aware; }
  // Prices are the owner's: (target index, prompt tokens, answer tokens) → price. May be empty.
  using Price = std::function<double(std::size_t, const RequestTraits&)>;
  void set_price(Price price) { price_ = std::move(price); }

  // What select() would do with a first request, without taking a place.
  struct Preview {
    struct Candidate {
      double price = 0;
      std::string why_not;  // empty: it may be chosen
    };
    std::vector<Candidate> candidates;
    std::optional<std::size_t> chosen;
    std::string reason;
  };
  Preview preview(std::string_view model, const RequestTraits& traits, std::uint64_t random,
                  base::TimePoint now) const;

  void leave_line(WaitRoom::Ticket ticket);
  std::uint32_t in_line() const { return in_line_.load(std::memory_order_relaxed); }
  void count_request(base::TimePoint now);
  bool take_retry(base::TimePoint now);

  // How long to wait for an attempt's first token before another one is asked beside it; nothing if
  // the route does not hedge, or does not know yet.
  std::optional<base::Milliseconds> hedge_delay(bool whole, base::TimePoint now);
  // As select(), for that other attempt: among those that are in order only, within the budget for
  // it, and not while others wait for a place.
  std::optional<Selected> select_hedge(CandidateSet excluded, const RequestTraits& traits,
                                       std::uint64_t random, base::TimePoint now);
  // An attempt showed its first token, or lost to another, after so long.
  void note_first_token(bool whole, std::chrono::microseconds time, base::TimePoint now);

 private:
  enum class Pass { near, in_order, late_too, broken_too };
  std::optional<Selected> choose(Pass pass, CandidateSet& excluded, const RequestTraits& traits,
                                 std::uint64_t random, base::TimePoint now);
  bool take_hedge(base::TimePoint now);
  std::optional<std::size_t> by_split(CandidateSet excluded, std::uint64_t random) const;
  bool allowed(Pass pass, std::size_t index, const Usable& usable,
               const RequestTraits& traits) const;

  const RouteGroupOptions options_;
  CandidateSet far_ = 0;  // in other zones, if there are both
  Price price_;
  WaitRoom room_;
  std::atomic<std::uint32_t> in_line_{0};
  std::mutex mutex_;
  std::unique_ptr<Strategy> strategy_;
  RetryBudget retry_budget_;
  RetryBudget hedge_budget_;
  std::unique_ptr<HedgePolicy> hedge_policy_;  // null: the route does not hedge
};

}  // namespace deepseek::gateway
