#include "server/backend_set.hpp"

#include "gateway/model_check.hpp"
#include "io/task_group.hpp"
#include "server/wiring.hpp"

namespace deepseek::server {

namespace asio = boost::asio;

base::Result<void> BackendSet::make(const Configuration& configuration, const ProgramPaths& paths) {
  auto made = make_engines(configuration, paths);
  if (made.has_error()) return made.error();
  return make_relays(configuration);
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
    engines_.push_back(std::make_unique<gateway::EngineBackend>(
        threads_.context(owner).get_executor(), std::move(options),
        base::Logger(sink_, "gateway")));
    gateway::EngineBackend& engine = *engines_.back();
    local_models_.push_back({engine.model(), created});
    targets_.push_back(
        std::make_unique<gateway::Target>(engine_target(configuration, engine.model()), engine));
  }
  return {};
}

base::Result<void> BackendSet::make_relays(const Configuration& configuration) {
  std::vector<asio::any_io_executor> executors;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    executors.emplace_back(threads_.context(i).get_executor());
  }
  for (const Configuration::Backend& backend : configuration.backends) {
    auto options = relay_options(configuration, backend);
    if (options.has_error()) return options.error();
    auto relay = gateway::OpenAiBackend::make(std::move(*options), executors);
    if (relay.has_error()) return relay.error();
    relays_.push_back(std::move(*relay));
    targets_.push_back(
        std::make_unique<gateway::Target>(relay_target(configuration, backend), *relays_.back()));
  }
  return {};
}

void BackendSet::launch() {
  for (const auto& engine : engines_) engine->launch();
}

void BackendSet::retry_failed() {
  for (const auto& engine : engines_) {
    if (engine->status().state == gateway::BackendState::failed) engine->retry();
  }
}

asio::awaitable<void> BackendSet::stop() {
  for (const auto& engine : engines_) {
    co_await io::run_on(threads_.context(0).get_executor(), engine->stop());
  }
}

gateway::Target* BackendSet::find(std::string_view name) const {
  for (const auto& target : targets_) {
    if (target->name() == name) return target.get();
  }
  return nullptr;
}

}  // namespace deepseek::server
