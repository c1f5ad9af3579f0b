#include "gateway/gateway.hpp"

#include "base/random.hpp"
#include "gateway/balance/prefix_blocks.hpp"
#include "gateway/balance/stable_hash.hpp"
#include "gateway/call_run.hpp"
#include "gateway/route/request_facts.hpp"
#include "gateway/shadow_run.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::size_t names_max = 20;  // in one message
constexpr std::size_t shown_max = 64;  // bytes of a name that does not exist

std::string shorten(std::string_view name) {
  if (name.size() <= shown_max) return std::string(name);
  std::size_t end = shown_max;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return std::string(name.substr(0, end)) + "…";
}

}  // namespace

namespace {

// Does a pattern of a rule let this name in?
bool names(const RouteRule& rule, std::string_view model) {
  RouteRule only_model;
  only_model.model = rule.model;
  protocol::Request request;
  request.model = model;
  RouteFacts facts(request, {}, {}, 0);
  return match_route(std::span(&only_model, 1), facts) == 0;
}

RouteGroup::Price price_by(std::vector<TokenPrices> prices) {
  return [prices = std::move(prices)](std::size_t index, const RequestTraits& traits) {
    if (index >= prices.size()) return 0.0;
    TokenAmounts amounts;
    amounts.input = static_cast<std::uint64_t>(traits.prompt_tokens);
    amounts.output = static_cast<std::uint64_t>(traits.total_tokens - traits.prompt_tokens);
    return price_of(prices[index], amounts, base::unix_seconds());
  };
}

// Strategies that ask how large a request is.
bool counts_tokens(const RouteGroupOptions& group) {
  return group.strategy == StrategyKind::least_work || group.strategy == StrategyKind::cheapest ||
         group.first_token_goal.count() > 0;
}

}  // namespace

Gateway::Gateway(Options options) : options_(std::move(options)) {
  std::sort(options_.models.begin(), options_.models.end(),
            [](const Model& left, const Model& right) { return left.id < right.id; });
  for (Route& route : options_.routes) {
    rules_.push_back(route.rule);
    groups_.push_back(std::make_unique<RouteGroup>(std::move(route.group)));
    if (!route.prices.empty()) groups_.back()->set_price(price_by(std::move(route.prices)));
  }
}

const Gateway::Model* Gateway::find(std::string_view id) const {
  const auto found = std::lower_bound(
      options_.models.begin(), options_.models.end(), id,
      [](const Model& model, std::string_view wanted) { return model.id < wanted; });
  return found != options_.models.end() && found->id == id ? &*found : nullptr;
}

bool Gateway::any_route(std::string_view model) const {
  return std::any_of(rules_.begin(), rules_.end(), [this, model](const RouteRule& rule) {
    const RouteGroup& group = *groups_[static_cast<std::size_t>(&rule - rules_.data())];
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (group.target(i).serves(model)) return names(rule, model);
    }
    return false;
  });
}

std::string Gateway::canonical(std::string_view name) const {
  std::string wanted(name.empty() ? std::string_view(options_.default_model) : name);
  if (find(wanted) != nullptr) return wanted;
  const auto alias = options_.aliases.find(wanted);
  return alias == options_.aliases.end() ? wanted : alias->second;
}

base::Result<std::string> Gateway::resolve(std::string_view name) const {
  std::string model = canonical(name);
  if (any_route(model)) return model;
  return unknown_model(name);
}

base::Error Gateway::unknown_model(std::string_view name) const {
  if (name.empty()) {
    return base::make_error(ErrorCode::model_not_found,
                            "The request names no model and no default model is configured.",
                            "model");
  }
  std::string message = "The model \"" + shorten(name) + "\" does not exist here. Use one of: ";
  const std::vector<ModelEntry> entries = models();
  for (std::size_t i = 0; i < std::min(entries.size(), names_max); ++i) {
    message += (i == 0 ? "" : ", ") + entries[i].id;
  }
  message += entries.size() > names_max ? ", … (GET /v1/models lists all)." : ".";
  return base::make_error(ErrorCode::model_not_found, std::move(message), "model");
}

base::Result<Gateway::Routed> Gateway::route(protocol::Request& request,
                                             const Caller& caller) const {
  std::string asked = std::exchange(request.model, canonical(request.model));
  if (request.model.empty()) return unknown_model(asked);
  RouteFacts facts(request, caller.tenant, caller.headers, base::unix_seconds());
  const int index = match_route(rules_, facts);
  if (index < 0) {
    if (!any_route(request.model)) return unknown_model(asked);
    return base::make_error(ErrorCode::model_not_found,
                            "No route takes this request for the model \"" +
                                shorten(request.model) +
                                "\": routes may ask for a tenant, headers, features, a prompt's "
                                "length, a language or a time of day.",
                            "model");
  }
  const auto at = static_cast<std::size_t>(index);
  const RouteRule& rule = rules_[at];
  Routed routed;
  routed.group = groups_[at].get();
  routed.cache = &options_.routes[at].cache;
  routed.cache_scope = options_.routes[at].cache_scope;
  const Model* const known = find(request.model);
  routed.label = known != nullptr ? std::string_view(known->id) : std::string_view(rule.model);
  return routed;
}

RequestTraits Gateway::traits_of(const protocol::Request& request, const RouteGroup& group,
                                 std::string_view tenant) const {
  RequestTraits traits;
  if (counts_tokens(group.options())) {
    traits.prompt_tokens = guess_prompt_tokens(request);
    traits.total_tokens =
        traits.prompt_tokens + request.tokens_max.value_or(static_cast<int>(output_tokens_guess));
  }
  if (group.options().strategy == StrategyKind::consistent_hash) {
    // A user's requests stay together; without one, those with the same beginning.
    const std::string& user = request.user_id.empty() ? request.user : request.user_id;
    if (!user.empty()) {
      traits.hash_key = stable_hash(user, prefix_seed(request.model, tenant));
    } else {
      PrefixBlocks blocks(prefix_seed(request.model, tenant));
      add_prompt(blocks, request);
      traits.hash_key = blocks.blocks().empty() ? base::random_bits() : blocks.blocks().front();
    }
  }
  return traits;
}

RunContext Gateway::context_of(const protocol::Request& request, const Routed& routed,
                               const Caller& caller) const {
  RunContext context{options_.run, *routed.group};
  context.traits = traits_of(request, *routed.group, caller.tenant);
  context.tenant = caller.tenant;
  context.weight = caller.weight;
  context.priority = caller.priority;
  context.arrived = caller.arrived == base::TimePoint{} ? base::now() : caller.arrived;
  context.observer = options_.observer;
  return context;
}

std::unique_ptr<EventStream> Gateway::start(const protocol::Request& request, const Routed& routed,
                                            const Caller& caller,
                                            asio::any_io_executor executor) const {
  RunContext context = context_of(request, routed, caller);
  context.side_work = options_.side_work;
  if (routed.group->reads_prefixes()) {
    PrefixBlocks blocks(prefix_seed(request.model, caller.tenant));
    add_prompt(blocks, request);
    context.prefix_blocks.assign(blocks.blocks().begin(), blocks.blocks().end());
  }
  const RouteGroupOptions& group = routed.group->options();
  if (group.shadow != nullptr && options_.side_work != nullptr) {
    start_shadow(request, {group.shadow_percent, options_.run.request_timeout}, *group.shadow,
                 context.tenant, options_.observer, *options_.side_work, executor,
                 base::random_bits());
  }
  return std::make_unique<AnswerRun>(request, std::move(context), std::move(executor));
}

base::Result<std::unique_ptr<EmbeddingCall>> Gateway::embed(
    const protocol::EmbeddingRequest& request, const Caller& caller,
    asio::any_io_executor executor) const {
  protocol::Request asked;  // as far as routes may ask about it
  asked.model = request.model;
  asked.prompts = request.inputs;
  asked.user = request.user;
  asked.tokens_max = 0;
  return begin_call(request, &Backend::embed, asked, caller, std::move(executor));
}

base::Result<std::unique_ptr<TokenizeCall>> Gateway::tokenize(
    const protocol::TokenizeRequest& request, const Caller& caller,
    asio::any_io_executor executor) const {
  protocol::Request asked;
  if (const auto* chat = std::get_if<protocol::Request>(&request.input)) asked = *chat;
  asked.model = request.model;
  asked.tokens_max = 0;
  return begin_call(request, &Backend::tokenize, asked, caller, std::move(executor));
}

template <class Request, class Answer>
base::Result<std::unique_ptr<Call<Answer>>> Gateway::begin_call(
    const Request& request,
    std::unique_ptr<Call<Answer>> (Backend::*begin)(const CallAttempt<Request>&),
    protocol::Request& asked, const Caller& caller, asio::any_io_executor executor) const {
  const auto routed = route(asked, caller);
  if (routed.has_error()) return routed.error();
  return std::make_unique<CallRun<Request, Answer>>(
      request, begin, context_of(asked, *routed, caller), std::move(executor));
}

// What backends say that they have, as far as a route lets it in: patterns name nothing themselves.
void Gateway::add_listed(std::vector<ModelEntry>& entries) const {
  std::map<std::string, std::string> listed;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group->size(); ++i) {
      for (std::string& name : group->target(i).listed()) {
        listed.emplace(std::move(name), group->target(i).name());
      }
    }
  }
  for (const auto& [name, owner] : listed) {
    if (find(name) != nullptr || options_.aliases.contains(name) || !any_route(name)) continue;
    entries.push_back({name, "", 0, owner});
  }
  std::sort(entries.begin(), entries.end(),
            [](const ModelEntry& left, const ModelEntry& right) { return left.id < right.id; });
}

std::vector<ModelEntry> Gateway::models() const {
  std::vector<ModelEntry> entries;
  for (const Model& model : options_.models) {
    entries.push_back({model.id, "", model.created, model.owner});
  }
  add_listed(entries);
  for (const auto& [alias, id] : options_.aliases) {
    // A model's own name wins over an alias of the same name.
    if (find(alias) != nullptr || !any_route(id)) continue;
    const Model* const model = find(id);
    entries.push_back({alias, id, model == nullptr ? 0 : model->created,
                       model == nullptr ? "deepseek-server" : model->owner});
  }
  return entries;
}

std::vector<std::vector<Target*>> Gateway::route_targets() const {
  std::vector<std::vector<Target*>> all;
  for (const auto& group : groups_) all.push_back(group->options().targets);
  return all;
}

std::vector<Gateway::ModelStatus> Gateway::status() const {
  std::vector<ModelStatus> all;
  for (const Model& model : options_.models) {
    if (model.engine != nullptr) all.push_back({model.id, model.engine->backend().status()});
  }
  return all;
}

}  // namespace deepseek::gateway
