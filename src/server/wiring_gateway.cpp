// The gateway's half of the wiring: upstreams, targets, routes and keys.
#include "server/target_source.hpp"
#include "server/wiring.hpp"

#include "access/key_table.hpp"
#include "gateway/gateway.hpp"

#include <algorithm>
#include <set>

namespace deepseek::server {
namespace {

using base::Result;

constexpr base::Milliseconds hedge_window{60'000};  // a quiet server may hedge now and then too

gateway::HealthOptions health_options(const Configuration::Breaker& configured) {
  gateway::HealthOptions health;
  health.breaker.failures_max = configured.failures_max;
  health.breaker.window = configured.window;
  health.breaker.open_time = configured.open_time;
  health.breaker.successes_min = configured.successes_min;
  health.check.failures_max = configured.health_failures;
  health.check.successes_min = configured.health_successes;
  return health;
}

// Loading has checked them.
std::optional<gateway::Hours> hours(const std::string& configured) {
  if (configured.empty()) return std::nullopt;
  auto parsed = gateway::parse_hours(configured);
  if (parsed.has_error()) return std::nullopt;
  return std::move(*parsed);
}

gateway::RouteRule make_rule(const Configuration::Route& route) {
  gateway::RouteRule rule;
  rule.model = route.model;
  rule.tenant = route.tenant;
  for (const auto& [name, pattern] : route.headers) rule.headers.push_back({name, pattern});
  for (const RouteFeature feature : route.features) {
    const auto known = gateway::feature_named(to_string(feature));
    if (known) rule.features |= gateway::bit(*known);
  }
  if (route.prompt_tokens_min > 0) rule.prompt_tokens_min = route.prompt_tokens_min;
  if (route.prompt_tokens_max > 0) rule.prompt_tokens_max = route.prompt_tokens_max;
  if (const auto language = gateway::language_named(route.language)) {
    rule.languages.push_back(*language);
  }
  rule.hours = hours(route.hours);
  return rule;
}

// A route's name for a backend: "local" is the engine of the default model.
std::string target_name(const Configuration& configuration, const std::string& name) {
  if (name != "local") return name;
  return configuration.default_model.empty() && !configuration.models.empty()
             ? configuration.models.front().name
             : configuration.default_model;
}

// Of a route's target; an engine of this machine costs nothing.
gateway::TokenPrices prices_of(const Configuration& configuration, const std::string& target) {
  for (const Configuration::Backend& backend : configuration.backends) {
    if (backend.name == target) return token_prices(backend);
  }
  return {};
}

gateway::RouteGroupOptions group_options(const Configuration& configuration) {
  gateway::RouteGroupOptions group;
  group.queue_depth_max = configuration.queue.depth_max;
  group.queue_timeout = configuration.queue.timeout;
  group.retry_budget.percent = configuration.retry.budget_percent;
  group.retry_budget.per_second_min = configuration.retry.budget_min;
  group.hedge_budget.percent = configuration.retry.hedge_budget_percent;
  group.hedge_budget.per_second_min = 0;
  group.hedge_budget.window = hedge_window;
  return group;
}

Result<gateway::Gateway::Route> make_route(const Configuration& configuration, std::size_t index,
                                           const TargetSource& backends) {
  const Configuration::Route& configured = configuration.routes[index];
  gateway::Gateway::Route route;
  route.rule = make_rule(configured);
  route.group = group_options(configuration);
  route.group.name = "routes[" + std::to_string(index) + "]";
  route.group.strategy = configured.strategy;
  route.group.first_token_goal = configured.first_token_goal;
  route.group.hedge = configured.hedge;
  route.group.zone = configuration.server.zone;
  if (!configured.shadow.empty()) {
    route.group.shadow = backends.find(target_name(configuration, configured.shadow));
    route.group.shadow_percent = configured.shadow_percent;
  }
  for (const std::string& name : configured.backends) {
    const std::string target = target_name(configuration, name);
    gateway::Target* const found = backends.find(target);
    if (found == nullptr) {
      return base::make_error(base::ErrorCode::invalid_request,
                              route.group.name + ".backends: \"" + name +
                                  "\" is not running; a new backend needs a restart");
    }
    route.group.targets.push_back(found);
    route.prices.push_back(prices_of(configuration, target));
    if (configured.split.empty()) continue;
    const auto share = configured.split.find(name);
    route.group.split.push_back(share == configured.split.end() ? 0 : share->second);
  }
  route.cache = cache_rules(configuration, configured.cache);
  route.cache_scope = cache_scope(configuration, backends, route.group.targets);
  return route;
}

// Without routes every local model answers for its own name.
void add_default_routes(const Configuration& configuration, const TargetSource& backends,
                        gateway::Gateway::Options& options) {
  for (const TargetSource::LocalModel& model : backends.local_models()) {
    gateway::Gateway::Route route;
    route.rule.model = model.id;
    route.group = group_options(configuration);
    route.group.name = model.id;
    route.group.targets = {backends.find(model.id)};
    route.cache = cache_rules(configuration, true);
    route.cache_scope = cache_scope(configuration, backends, route.group.targets);
    options.routes.push_back(std::move(route));
  }
}

// The names that GET /v1/models lists: local ones, and those that routes and backends spell out.
std::vector<gateway::Gateway::Model> list_models(const Configuration& configuration,
                                                 const TargetSource& backends) {
  std::vector<gateway::Gateway::Model> models;
  std::set<std::string> seen;
  for (const TargetSource::LocalModel& local : backends.local_models()) {
    models.push_back({local.id, local.created, "deepseek-server", backends.find(local.id)});
    seen.insert(local.id);
  }
  const auto add = [&](const std::string& name, const std::string& owner) {
    if (name.find('*') != std::string::npos || !seen.insert(name).second) return;
    models.push_back({name, 0, owner, nullptr});
  };
  for (const Configuration::Backend& backend : configuration.backends) {
    for (const std::string& name : backend.models) add(name, backend.name);
  }
  for (const Configuration::Route& route : configuration.routes) {
    add(route.model, route.backends.empty() ? "deepseek-server" : route.backends.front());
  }
  return models;
}

gateway::RunOptions run_options(const Configuration& configuration) {
  const Configuration::Retry& retry = configuration.retry;
  gateway::RunOptions run;
  run.plan.retry.retries_max = retry.attempts_max > 0 ? retry.attempts_max - 1 : 0;
  run.plan.retry.backoff_min = retry.backoff_min;
  run.plan.retry.backoff_max = retry.backoff_max;
  run.plan.retry.backoff_factor = retry.backoff_factor;
  run.plan.retry.jitter = retry.jitter;
  run.plan.wait_max = retry.retry_after_max;
  run.plan.continuations_max = retry.continuations_max;
  run.continuation_bytes_max = retry.continuation_bytes_max;
  run.request_timeout = configuration.network.rpc_timeout;
  return run;
}

Result<std::shared_ptr<const access::KeyTable>> make_keys(const Configuration& configuration) {
  std::vector<access::StaticKey> keys;
  for (const Configuration::AccessKey& key : configuration.access.keys) {
    keys.push_back({key.key.reveal(), key.tenant, static_cast<double>(key.weight),
                    static_cast<std::int32_t>(key.priority_max), key.balance});
  }
  auto table = access::KeyTable::build(keys);
  if (table.has_error()) return table.error();
  return std::make_shared<const access::KeyTable>(std::move(*table));
}

}  // namespace

gateway::ManagedCommand managed_command(const Configuration::Backend& backend) {
  gateway::ManagedCommand command;
  command.engine = backend.engine;
  command.program = backend.command;
  command.arguments = backend.arguments;
  command.model = backend.model;
  for (const std::string& name : backend.models) {
    const auto there = backend.upstream_models.find(name);
    command.names.push_back(there == backend.upstream_models.end() ? name : there->second);
  }
  command.tensor_parallel = backend.tensor_parallel;
  command.pipeline_parallel = backend.pipeline_parallel;
  command.expert_parallel = backend.expert_parallel;
  command.data_parallel = backend.data_parallel;
  return command;
}

gateway::ManagedProcessOptions managed_options(const Configuration& configuration,
                                               const Configuration::Backend& backend,
                                               const ProgramPaths& paths) {
  gateway::ManagedProcessOptions options;
  options.name = backend.name;
  options.guard_program = paths.server;
  options.command = managed_command(backend);
  options.environment = backend.environment;
  options.port =
      backend.port != 0 ? static_cast<std::uint16_t>(backend.port) : gateway::find_free_port();
  options.health_path = backend.health_path;
  options.health_interval = backend.health_interval;
  options.supervision.start_timeout = backend.start_timeout;
  options.supervision.check_failures_max = configuration.breaker.health_failures;
  return options;
}

Result<gateway::OpenAiBackendOptions> relay_options(const Configuration::Backend& backend,
                                                    std::uint16_t port) {
  gateway::OpenAiBackendOptions options;
  options.name = backend.name;
  const bool managed = backend.type == BackendType::managed;
  auto url = io::parse_url(managed ? "http://127.0.0.1:" + std::to_string(port) + "/v1"
                                   : backend.base_url);
  if (url.has_error()) {
    url.error().message = "backend \"" + backend.name + "\": " + url.error().message;
    return url.error();
  }
  options.base_url = std::move(*url);
  options.api_key = backend.api_key.reveal();
  if (backend.type == BackendType::azure) options.dialect = gateway::RelayDialect::azure;
  options.api_version = backend.api_version;
  options.upstream_models = backend.upstream_models;
  options.allow_fields = backend.allow_fields;
  std::sort(options.allow_fields.begin(), options.allow_fields.end());
  options.continuation = backend.continuation;
  options.token_limit_field = backend.token_limit_field;
  options.connect_timeout = backend.connect_timeout;
  options.gap_timeout = backend.gap_timeout;
  options.pool.idle_max = backend.pool_idle_max;
  if (options.base_url.secure) {
    auto trust = io::TlsClientContext::load(backend.trust_file);
    if (trust.has_error()) return trust.error();
    options.trust = std::move(*trust);
  }
  return options;
}

Result<gateway::GrpcBackendOptions> grpc_backend_options(const Configuration::Backend& backend) {
  auto url = io::parse_url(backend.base_url);
  if (url.has_error()) {
    url.error().message = "backend \"" + backend.name + "\": " + url.error().message;
    return url.error();
  }
  gateway::GrpcBackendOptions options;
  options.name = backend.name;
  const bool six = url->host.find(':') != std::string::npos;
  options.channel.address =
      (six ? "[" + url->host + "]" : url->host) + ":" + std::to_string(url->port);
  options.channel.secure = url->secure;
  options.channel.trust_file = backend.trust_file;
  options.channel.connect_timeout = backend.connect_timeout;
  options.api_key = backend.api_key.reveal();
  options.upstream_models = backend.upstream_models;
  options.continuation = backend.continuation;
  options.gap_timeout = backend.gap_timeout;
  return options;
}

gateway::TokenPrices token_prices(const Configuration::Backend& backend) {
  gateway::TokenPrices prices;
  prices.input = backend.price_input;
  if (backend.price_input_cached > 0) prices.input_cached = backend.price_input_cached;
  prices.output = backend.price_output;
  prices.off_peak = hours(backend.off_peak);
  prices.off_peak_factor = backend.off_peak_factor;
  return prices;
}

std::optional<gateway::OutlierOptions> outlier_options(const Configuration::Breaker& configured) {
  if (configured.outlier_factor <= 0) return std::nullopt;
  gateway::OutlierOptions options;
  options.failure_factor_min = configured.outlier_factor;
  options.latency_factor_min = configured.outlier_factor;
  options.ejected_percent_max = configured.outlier_ejected_max_percent;
  options.interval = configured.outlier_interval;
  return options;
}

gateway::TargetOptions engine_target(const Configuration& configuration, const std::string& model) {
  gateway::TargetOptions target;
  target.name = model;
  target.local = true;
  target.continues = true;
  // Its own scheduler queues and refuses.
  target.in_flight_max = std::numeric_limits<std::uint32_t>::max();
  target.first_token_timeout = configuration.network.rpc_timeout;
  target.health = health_options(configuration.breaker);
  return target;
}

gateway::TargetOptions relay_target(const Configuration& configuration,
                                    const Configuration::Backend& backend) {
  gateway::TargetOptions target;
  target.name = backend.name;
  target.zone = backend.zone;
  target.models = backend.models;
  target.weight = backend.weight;
  target.in_flight_max = backend.in_flight_max;
  target.continues = backend.continuation != Continuation::none;
  target.first_token_timeout = backend.first_token_timeout;
  target.health = health_options(configuration.breaker);
  target.health.check.interval = backend.health_interval;
  target.health.check.interval_failing =
      std::min(target.health.check.interval_failing, backend.health_interval);
  return target;
}

Result<std::shared_ptr<const frontend::Snapshot>> make_snapshot(const Configuration& configuration,
                                                                const TargetSource& backends,
                                                                gateway::AttemptObserver* observer,
                                                                const KeptAnswers& kept) {
  gateway::Gateway::Options options;
  options.models = list_models(configuration, backends);
  options.aliases = configuration.aliases;
  options.default_model = configuration.default_model;
  options.run = run_options(configuration);
  options.observer = observer;
  options.side_work = backends.side_work();
  for (std::size_t i = 0; i < configuration.routes.size(); ++i) {
    auto route = make_route(configuration, i, backends);
    if (route.has_error()) return route.error();
    options.routes.push_back(std::move(*route));
  }
  if (configuration.routes.empty()) add_default_routes(configuration, backends, options);
  auto keys = make_keys(configuration);
  if (keys.has_error()) return keys.error();
  auto snapshot = std::make_shared<frontend::Snapshot>();
  snapshot->gateway = std::make_shared<gateway::Gateway>(std::move(options));
  snapshot->keys = std::move(*keys);
  snapshot->cache = kept.cache;
  snapshot->responses = kept.responses;
  snapshot->limits = request_limits(configuration.limits);
  snapshot->body_max = configuration.http.body_max;
  snapshot->keep_alive_comment = configuration.http.keep_alive_comment;
  snapshot->keep_alive_line = configuration.http.keep_alive_line;
  snapshot->request_timeout = configuration.network.rpc_timeout;
  return std::shared_ptr<const frontend::Snapshot>(std::move(snapshot));
}

}  // namespace deepseek::server
