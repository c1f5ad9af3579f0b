#include "gateway/route_group.hpp"

#include "gateway/balance/stable_hash.hpp"
#include "gateway/resilience/random.hpp"

#include <array>

namespace deepseek::gateway {

using base::TimePoint;

namespace {

std::vector<std::uint64_t> ids(const std::vector<Target*>& targets) {
  std::vector<std::uint64_t> all;
  for (const Target* target : targets) all.push_back(stable_hash(target->name()));
  return all;
}

// Those in another zone than this server, if there are some in its own. What runs on this machine
// is in its zone. A split says itself who gets how much.
CandidateSet far_targets(const RouteGroupOptions& options) {
  if (options.zone.empty() || !options.split.empty()) return 0;
  CandidateSet far = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < options.targets.size(); ++i) {
    const TargetOptions& target = options.targets[i]->options();
    if (target.local || target.zone == options.zone) continue;
    far |= candidate_bit(i);
    ++count;
  }
  return count == options.targets.size() ? 0 : far;
}

}  // namespace

RouteGroup::RouteGroup(RouteGroupOptions options)
    : options_(std::move(options)),
      room_(options_.queue_depth_max),
      strategy_(make_strategy(options_.strategy, ids(options_.targets))),
      retry_budget_(options_.retry_budget),
      hedge_budget_(options_.hedge_budget) {
  far_ = far_targets(options_);
  if (options_.hedge) hedge_policy_ = std::make_unique<HedgePolicy>();
  for (Target* target : options_.targets) target->add_room(room_);
}

RouteGroup::~RouteGroup() {
  for (Target* target : options_.targets) target->remove_room(room_);
}

std::optional<WaitRoom::Ticket> RouteGroup::wait_in_line(const WaitRoom::Guest& guest,
                                                         WaitRoom::Waker waker) {
  const auto ticket = room_.enter(guest, std::move(waker));
  if (!ticket) return ticket;
  ++in_line_;
  bool free = false;
  for (Target* target : options_.targets) {
    target->expect_calls();
    free = free || !target->full();
  }
  // A place that became free before anyone knew of this guest.
  if (free) room_.call_one();
  return ticket;
}

void RouteGroup::leave_line(WaitRoom::Ticket ticket) {
  room_.leave(ticket);
  --in_line_;
}

CandidateSet RouteGroup::unable(std::string_view model) const {
  CandidateSet set = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!target(i).serves(model)) set |= candidate_bit(i);
  }
  return set;
}

bool RouteGroup::allowed(Pass pass, std::size_t index, const Usable& usable,
                         const RequestTraits& traits) const {
  const Target& target = *options_.targets[index];
  if (pass == Pass::near && (far_ & candidate_bit(index)) != 0) return false;
  if (target.full() || usable.availability == Availability::cooling_down) return false;
  if (pass == Pass::broken_too) return true;
  if (!usable || !target.backend().ready()) return false;
  if (pass == Pass::late_too || options_.first_token_goal.count() == 0) return true;
  // Burst out: who would answer too late is asked only when nobody else can be.
  return target.backend().expected_first_token(traits.prompt_tokens) <= options_.first_token_goal;
}

// A percentage split is drawn first; who is out of order leaves his share to the strategy.
std::optional<std::size_t> RouteGroup::by_split(CandidateSet excluded, std::uint64_t random) const {
  if (options_.split.empty() || excluded != 0) return std::nullopt;
  auto drawn = static_cast<std::uint32_t>(unit_interval(mix_bits(random)) * 100);
  for (std::size_t i = 0; i < options_.split.size(); ++i) {
    if (drawn < options_.split[i]) return i;
    drawn -= options_.split[i];
  }
  return std::nullopt;
}

std::optional<RouteGroup::Selected> RouteGroup::choose(Pass pass, CandidateSet& excluded,
                                                       const RequestTraits& traits,
                                                       std::uint64_t random, TimePoint now) {
  std::array<ReplicaView, candidates_max> views{};
  for (std::size_t i = 0; i < size(); ++i) {
    if ((excluded & candidate_bit(i)) != 0) {
      views[i].usable = false;
      continue;
    }
    const Usable usable = target(i).health().usable(now);
    views[i] = target(i).view(usable, price_ ? price_(i, traits) : 0);
    views[i].usable = allowed(pass, i, usable, traits);
  }
  ChoiceInput input;
  input.replicas = std::span(views).first(size());
  input.random = random;
  input.hash_key = traits.hash_key;
  input.prefix_blocks = traits.prefix_blocks;
  input.request_tokens = static_cast<double>(traits.total_tokens);
  while (true) {
    Choice choice;
    const auto drawn = by_split(excluded, random);
    if (drawn && views[*drawn].usable) {
      choice = {static_cast<int>(*drawn), "its share of the split"};
    } else {
      const std::lock_guard lock(mutex_);
      choice = strategy_->choose(input);
    }
    if (choice.index < 0) return std::nullopt;
    const auto index = static_cast<std::size_t>(choice.index);
    Target& chosen = target(index);
    views[index].usable = false;
    if (!chosen.enter()) continue;
    std::optional<HealthTicket> ticket = chosen.health().start(now);
    if (!ticket && pass == Pass::broken_too) ticket = chosen.health().force(now);
    if (!ticket) {
      chosen.leave();
      continue;
    }
    // An engine's first token is seen even where the client waits for the whole answer.
    ticket->whole = traits.whole && !chosen.options().local;
    return Selected{index, TargetUse(chosen, *ticket, traits.total_tokens, now),
                    pass == Pass::broken_too ? "nobody else is left" : choice.reason};
  }
}

std::variant<RouteGroup::Selected, RouteGroup::Nobody> RouteGroup::select(
    CandidateSet excluded, const RequestTraits& traits, std::uint64_t random, TimePoint now,
    bool called) {
  if (!called && in_line_.load(std::memory_order_relaxed) > 0) {
    return Nobody{.busy = true, .limited = false, .back_at = {}, .why = "others wait already"};
  }
  for (const Pass pass : {Pass::near, Pass::in_order, Pass::late_too, Pass::broken_too}) {
    if (pass == Pass::near && far_ == 0) continue;
    if (pass == Pass::late_too && options_.first_token_goal.count() == 0) continue;
    auto selected = choose(pass, excluded, traits, random, now);
    if (selected) return std::move(*selected);
  }
  Nobody nobody;
  for (std::size_t i = 0; i < size(); ++i) {
    if ((excluded & candidate_bit(i)) != 0) continue;
    if (!nobody.why.empty()) nobody.why += ", ";
    nobody.why += target(i).name() + " ";
    if (target(i).full()) {
      nobody.busy = true;
      nobody.why += "is busy";
      continue;
    }
    const HealthView view = target(i).health().view(now);
    nobody.why += to_string(view.availability);
    nobody.limited = nobody.limited || view.availability == Availability::cooling_down;
    const TimePoint back = now + view.back_in;
    if (view.back_in.count() > 0 && (!nobody.back_at || back < *nobody.back_at)) {
      nobody.back_at = back;
    }
  }
  return nobody;
}

void RouteGroup::count_request(TimePoint now) {
  const std::lock_guard lock(mutex_);
  retry_budget_.requested(now);
  hedge_budget_.requested(now);
}

bool RouteGroup::take_retry(TimePoint now) {
  const std::lock_guard lock(mutex_);
  return retry_budget_.take(now);
}

bool RouteGroup::take_hedge(TimePoint now) {
  const std::lock_guard lock(mutex_);
  return hedge_budget_.take(now);
}

std::optional<base::Milliseconds> RouteGroup::hedge_delay(bool whole, TimePoint now) {
  if (!hedge_policy_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return hedge_policy_->delay(whole, now);
}

void RouteGroup::note_first_token(bool whole, std::chrono::microseconds time, TimePoint now) {
  if (!hedge_policy_) return;
  const std::lock_guard lock(mutex_);
  hedge_policy_->note(whole, time, now);
}

std::optional<RouteGroup::Selected> RouteGroup::select_hedge(CandidateSet excluded,
                                                             const RequestTraits& traits,
                                                             std::uint64_t random, TimePoint now) {
  if (in_line_.load(std::memory_order_relaxed) > 0) return std::nullopt;
  {
    // Asked first, so that a strategy does not learn of what will not be.
    const std::lock_guard lock(mutex_);
    if (hedge_budget_.left(now) == 0) return std::nullopt;
  }
  auto selected = choose(Pass::in_order, excluded, traits, random, now);
  if (selected && !take_hedge(now)) return std::nullopt;
  return selected;
}

}  // namespace deepseek::gateway
