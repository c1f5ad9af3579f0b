// The half of Gateway and RouteGroup that answers questions about them.
#include "base/random.hpp"
#include "gateway/balance/stable_hash.hpp"
#include "gateway/gateway.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace deepseek::gateway {

using base::TimePoint;

namespace {

BackendReport report(Target& target, TimePoint now) {
  BackendReport made;
  made.name = target.name();
  made.local = target.options().local;
  made.status = target.backend().status();
  made.health = target.health().view(now);
  made.in_flight = target.in_flight();
  const std::uint32_t most = target.options().in_flight_max;
  made.in_flight_max = most == std::numeric_limits<std::uint32_t>::max() ? 0 : most;
  return made;
}

std::string why_not_asked(const Target& target, const Usable& usable, std::string_view model) {
  if (!target.serves(model)) return "it does not serve this model";
  if (target.full()) return "it is busy (in_flight_max)";
  if (!usable) return "it is " + std::string(to_string(usable.availability));
  if (!target.backend().ready()) return target.backend().status().reason;
  return {};
}

}  // namespace

RouteGroup::Preview RouteGroup::preview(std::string_view model, const RequestTraits& traits,
                                        std::uint64_t random, TimePoint now) const {
  Preview made;
  std::vector<ReplicaView> views;
  std::vector<std::uint64_t> names;
  for (std::size_t i = 0; i < size(); ++i) {
    const Usable usable = target(i).health().usable(now);
    Preview::Candidate candidate;
    candidate.price = price_ ? price_(i, traits) : 0;
    candidate.why_not = why_not_asked(target(i), usable, model);
    views.push_back(target(i).view(usable, candidate.price));
    names.push_back(stable_hash(target(i).name()));
    made.candidates.push_back(std::move(candidate));
  }
  // A strategy of its own: the one that serves requests must not notice.
  const auto strategy = make_strategy(options_.strategy, names);
  ChoiceInput input;
  input.random = random;
  input.hash_key = traits.hash_key;
  input.prefix_blocks = traits.prefix_blocks;
  input.request_tokens = static_cast<double>(traits.total_tokens);
  for (const Pass pass : {Pass::near, Pass::in_order, Pass::late_too, Pass::broken_too}) {
    for (std::size_t i = 0; i < size(); ++i) {
      const Usable usable = target(i).health().usable(now);
      views[i].usable = target(i).serves(model) && allowed(pass, i, usable, traits);
    }
    input.replicas = views;
    const Choice choice = strategy->choose(input);
    if (choice.index < 0) continue;
    made.chosen = static_cast<std::size_t>(choice.index);
    made.reason = pass == Pass::broken_too ? "nobody else is left" : std::string(choice.reason);
    if (!options_.split.empty()) made.reason = "one of the split's, by chance; else " + made.reason;
    return made;
  }
  made.reason = "none of them can be asked now";
  return made;
}

bool Gateway::relays() const {
  return std::any_of(groups_.begin(), groups_.end(), [](const auto& group) {
    for (std::size_t i = 0; i < group->size(); ++i) {
      if (!group->target(i).options().local) return true;
    }
    return false;
  });
}

std::vector<Gateway::Line> Gateway::lines() const {
  std::vector<Line> all;
  for (const auto& group : groups_) all.push_back({group->options().name, group->in_line()});
  return all;
}

std::vector<BackendReport> Gateway::backends(TimePoint now) const {
  std::vector<BackendReport> all;
  std::set<const Target*> seen;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group->size(); ++i) {
      if (seen.insert(&group->target(i)).second) all.push_back(report(group->target(i), now));
    }
  }
  return all;
}

RouteExplanation Gateway::explain(protocol::Request request, const Caller& caller,
                                  TimePoint now) const {
  RouteExplanation made;
  const auto routed = route(request, caller);
  made.model = request.model;
  RouteFacts facts(request, caller.tenant, caller.headers, base::unix_seconds());
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    made.rules.push_back({groups_[i]->options().name, explain_rule(rules_[i], facts)});
  }
  if (routed.has_error()) {
    made.problem = routed.error().message;
    return made;
  }
  const RouteGroup& group = *routed->group;
  made.route = group.options().name;
  made.strategy = to_string(group.options().strategy);
  RequestTraits traits = traits_of(request, group, caller.tenant);
  if (traits.total_tokens == 0) {
    // For the price, which every explanation tells.
    traits.prompt_tokens = guess_prompt_tokens(request);
    traits.total_tokens =
        traits.prompt_tokens + request.tokens_max.value_or(static_cast<int>(output_tokens_guess));
  }
  const RouteGroup::Preview preview =
      group.preview(request.model, traits, base::random_bits(), now);
  for (std::size_t i = 0; i < group.size(); ++i) {
    const RouteGroup::Preview::Candidate& candidate = preview.candidates[i];
    made.candidates.push_back({report(group.target(i), now), candidate.price, candidate.why_not});
  }
  if (preview.chosen) made.chosen = group.target(*preview.chosen).name();
  made.reason = preview.reason;
  return made;
}

}  // namespace deepseek::gateway
