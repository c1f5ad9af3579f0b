#include "server/backend_set.hpp"

#include "gateway/model_check.hpp"
#include "server/wiring.hpp"

#include <algorithm>
#include <iterator>

namespace deepseek::server {

namespace asio = boost::asio;

namespace {

std::vector<asio::any_io_executor> executors_of(io::IoThreads& threads) {
  std::vector<asio::any_io_executor> executors;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    executors.emplace_back(threads.context(i).get_executor());
  }
  return executors;
}

}  // namespace

BackendSet::BackendSet(io::IoThreads& threads, base::LogSink& sink, asio::any_io_executor main)
    : threads_(threads), sink_(sink), checks_(std::move(main)) {
  side_work_ = std::make_unique<gateway::SideWork>(
      executors_of(threads),
      [logger = base::Logger(sink, "gateway")](std::string_view task, std::string_view what) {
        logger.error("a task failed", {{"task", task}, {"what", what}});
      });
}

base::Result<void> BackendSet::make(const Configuration& configuration, const ProgramPaths& paths) {
  auto made = make_engines(configuration, paths);
  if (made.has_error()) return made.error();
  return update(configuration);
}

base::Result<void> BackendSet::make_engines(const Configuration& configuration,
                                            const ProgramPaths& paths) {
  std::vector<gateway::EngineBackendOptions> wanted;
  for (const Configuration::Model& model : configuration.models) {
    auto options = engine_options(configuration, model, paths);
    if (options.has_error()) return options.error();
    auto checked = gateway::check_model(options->command);
    if (checked.has_error()) return checked.error();
    wanted.push_back(std::move(*options));
  }
  for (gateway::EngineBackendOptions& options : wanted) {
    const std::size_t owner = engines_.size() % threads_.size();
    const std::int64_t created = file_time(options.command.model_path);
    Engine engine;
    engine.backend = std::make_unique<gateway::EngineBackend>(
        threads_.context(owner).get_executor(), std::move(options), base::Logger(sink_, "gateway"));
    const std::string& model = engine.backend->model();
    local_models_.push_back({model, created});
    engine.target =
        std::make_unique<gateway::Target>(engine_target(configuration, model), *engine.backend);
    engines_.push_back(std::move(engine));
  }
  return {};
}

base::Result<BackendSet::Relay> BackendSet::make_relay(const Configuration& configuration,
                                                       const Configuration::Backend& backend) {
  auto options = relay_options(backend);
  if (options.has_error()) return options.error();
  auto made = gateway::OpenAiBackend::make(std::move(*options), executors_of(threads_));
  if (made.has_error()) return made.error();
  Relay relay{backend, std::move(*made), nullptr, nullptr};
  relay.target =
      std::make_unique<gateway::Target>(relay_target(configuration, backend), *relay.backend);
  if (!backend.health_path.empty()) {
    const gateway::OpenAiBackendOptions& upstream = relay.backend->options();
    relay.check = std::make_unique<gateway::HealthProberOptions>();
    relay.check->url = upstream.base_url;
    relay.check->path = backend.health_path;
    relay.check->api_key = upstream.api_key;
    relay.check->trust = upstream.trust;
  }
  return relay;
}

base::Result<void> BackendSet::update(const Configuration& configuration) {
  std::vector<Relay> made;
  for (const Configuration::Backend& backend : configuration.backends) {
    if (std::any_of(relays_.begin(), relays_.end(),
                    [&](const Relay& relay) { return relay.configured == backend; })) {
      continue;
    }
    auto relay = make_relay(configuration, backend);
    if (relay.has_error()) return relay.error();
    made.push_back(std::move(*relay));
  }
  const auto kept = [&](const Relay& relay) {
    const auto& wanted = configuration.backends;
    return std::find(wanted.begin(), wanted.end(), relay.configured) != wanted.end();
  };
  const auto gone = std::partition(relays_.begin(), relays_.end(), kept);
  for (auto relay = gone; relay != relays_.end(); ++relay) {
    if (relay->check) relay->check->ended = true;
  }
  if (launched_) {
    for (Relay& relay : made) start_check(relay);
  }
  retired_.insert(retired_.end(), std::make_move_iterator(gone),
                  std::make_move_iterator(relays_.end()));
  relays_.erase(gone, relays_.end());
  relays_.insert(relays_.end(), std::make_move_iterator(made.begin()),
                 std::make_move_iterator(made.end()));
  return {};
}

void BackendSet::start_check(Relay& relay) {
  if (!relay.check) return;
  checks_.spawn("health check",
                gateway::probe_health(*relay.check, relay.target->health(), checks_.executor()));
}

void BackendSet::launch() {
  launched_ = true;
  for (Relay& relay : relays_) start_check(relay);
  for (const Engine& engine : engines_) engine.backend->launch();
}

void BackendSet::retry_failed() {
  for (const Engine& engine : engines_) {
    if (engine.backend->status().state == gateway::BackendState::failed) engine.backend->retry();
  }
}

std::vector<gateway::EngineBackend*> BackendSet::engines() const {
  std::vector<gateway::EngineBackend*> all;
  for (const Engine& engine : engines_) all.push_back(engine.backend.get());
  return all;
}

asio::awaitable<void> BackendSet::stop() {
  co_await checks_.stop();
  co_await side_work_->stop();
  for (const Engine& engine : engines_) {
    co_await io::run_on(threads_.context(0).get_executor(), engine.backend->stop());
  }
}

gateway::Target* BackendSet::find(std::string_view name) const {
  for (const Engine& engine : engines_) {
    if (engine.target->name() == name) return engine.target.get();
  }
  for (const Relay& relay : relays_) {
    if (relay.target->name() == name) return relay.target.get();
  }
  return nullptr;
}

}  // namespace deepseek::server
