#include "server/backend_set.hpp"

#include "gateway/grpc/grpc_health.hpp"
#include "gateway/model_check.hpp"
#include "server/wiring.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>

namespace deepseek::server {

namespace asio = boost::asio;
using base::Result;
using gateway::ManagedProcess;

namespace {

// Would both start the same program in the same way?
bool same_program(const Configuration::Backend& left, const Configuration::Backend& right) {
  return left.name == right.name && managed_command(left) == managed_command(right) &&
         left.environment == right.environment && left.port == right.port &&
         left.health_path == right.health_path && left.health_interval == right.health_interval &&
         left.start_timeout == right.start_timeout;
}

std::vector<asio::any_io_executor> executors_of(io::IoThreads& threads) {
  std::vector<asio::any_io_executor> executors;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    executors.emplace_back(threads.context(i).get_executor());
  }
  return executors;
}

}  // namespace

BackendSet::BackendSet(io::IoThreads& threads, base::LogSink& sink, asio::any_io_executor main)
    : threads_(threads), sink_(sink), checks_(main), programs_(main), main_(std::move(main)) {
  side_work_ = std::make_unique<gateway::SideWork>(
      executors_of(threads),
      [logger = base::Logger(sink, "gateway")](std::string_view task, std::string_view what) {
        logger.error("a task failed", {{"task", task}, {"what", what}});
      });
}

base::Result<void> BackendSet::make(const Configuration& configuration, const ProgramPaths& paths) {
  server_program_ = paths.server;
  auto made = make_engines(configuration, paths);
  if (made.has_error()) return made.error();
  return update(configuration);
}

base::Result<void> BackendSet::make_engines(const Configuration& configuration,
                                            const ProgramPaths& paths) {
  std::vector<gateway::EngineBackendOptions> wanted;
  const auto memory = std::make_shared<gateway::ModelMemory>(
      configuration.memory.max_models_size.resolve(machine_memory()));
  for (const Configuration::Model& model : configuration.models) {
    auto options = engine_options(configuration, model, paths);
    if (options.has_error()) return options.error();
    auto checked = gateway::check_model(options->command);
    if (checked.has_error()) return checked.error();
    options->memory = memory;
    options->memory_bytes = checked->memory_bytes;
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
    for (const auto& [name, file] : engine.backend->adapters()) {
      local_models_.push_back({name, file_time(file)});
    }
    engine.target =
        std::make_unique<gateway::Target>(engine_target(configuration, model), *engine.backend);
    engines_.push_back(std::move(engine));
  }
  return {};
}

base::Result<BackendSet::Relay> BackendSet::make_relay(const Configuration& configuration,
                                                       const Configuration::Backend& backend) {
  if (backend.type == BackendType::grpc) return make_grpc(configuration, backend);
  std::shared_ptr<ManagedProcess> program;
  if (backend.type == BackendType::managed) {
    auto found = find_or_make_program(configuration, backend);
    if (found.has_error()) return found.error();
    program = std::move(*found);
  }
  auto options = relay_options(backend, program ? program->options().port : 0);
  if (options.has_error()) return options.error();
  auto made = gateway::RelayBackend::make(std::move(*options), executors_of(threads_));
  if (made.has_error()) return made.error();
  Relay relay;
  relay.configured = backend;
  relay.program = std::move(program);
  relay.backend = std::move(*made);
  gateway::Backend* front = relay.backend.get();
  if (relay.program) {
    relay.managed = std::make_unique<gateway::ManagedBackend>(*relay.program, *relay.backend);
    front = relay.managed.get();
  }
  relay.target = std::make_unique<gateway::Target>(relay_target(configuration, backend), *front);
  // A program of ours is asked by its own supervisor.
  if (!relay.program && !backend.health_path.empty()) {
    const gateway::RelayBackendOptions& upstream = relay.backend->options();
    relay.check = std::make_unique<gateway::HealthProberOptions>();
    relay.check->url = upstream.base_url;
    relay.check->path = backend.health_path;
    relay.backend->form().add_fields(relay.check->fields, upstream);
    relay.check->trust = upstream.trust;
    const bool anthropic = backend.type == BackendType::anthropic;
    if (anthropic || backend.type == BackendType::openai || backend.type == BackendType::deepseek) {
      relay.check->models_path =
          upstream.base_url.path + (anthropic ? "/models?limit=1000" : "/models");
      relay.check->on_models = [target = relay.target.get()](std::vector<std::string> models) {
        target->set_listed(std::move(models));
      };
    }
  }
  return relay;
}

base::Result<BackendSet::Relay> BackendSet::make_grpc(const Configuration& configuration,
                                                      const Configuration::Backend& backend) {
  auto options = grpc_backend_options(backend);
  if (options.has_error()) return options.error();
  auto made = gateway::GrpcBackend::make(std::move(*options), threads_.size());
  if (made.has_error()) return made.error();
  Relay relay;
  relay.configured = backend;
  relay.grpc = std::move(*made);
  relay.target =
      std::make_unique<gateway::Target>(relay_target(configuration, backend), *relay.grpc);
  relay.check = std::make_unique<gateway::HealthProberOptions>();
  relay.check->check = [server = relay.grpc.get()](asio::any_io_executor executor,
                                                   base::Milliseconds timeout) {
    return gateway::check_grpc_health(*server, std::move(executor), timeout);
  };
  return relay;
}

Result<std::shared_ptr<ManagedProcess>> BackendSet::find_or_make_program(
    const Configuration& configuration, const Configuration::Backend& backend) {
  for (const Relay& relay : relays_) {
    if (relay.program && same_program(relay.configured, backend)) return relay.program;
  }
  ProgramPaths paths;
  paths.server = server_program_;
  gateway::ManagedProcessOptions options = managed_options(configuration, backend, paths);
  // Two that have not begun to listen would get the same free port.
  while (backend.port == 0 && options.port != 0 && ports_.contains(options.port)) {
    options.port = gateway::find_free_port();
  }
  ports_.insert(options.port);
  auto made = ManagedProcess::make(main_, std::move(options), base::Logger(sink_, "managed"));
  if (made.has_error()) return made.error();
  return std::shared_ptr<ManagedProcess>(std::move(*made));
}

base::Result<void> BackendSet::update(const Configuration& configuration) {
  drain_timeout_ = configuration.server.drain_timeout;
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
    replace_programs({gone, relays_.end()}, made);
    for (Relay& relay : made) start(relay);
  }
  retired_.insert(retired_.end(), std::make_move_iterator(gone),
                  std::make_move_iterator(relays_.end()));
  relays_.erase(gone, relays_.end());
  relays_.insert(relays_.end(), std::make_move_iterator(made.begin()),
                 std::make_move_iterator(made.end()));
  return {};
}

// Those that nobody needs any more end; who takes their place starts then.
void BackendSet::replace_programs(std::span<Relay> gone, std::span<Relay> made) {
  for (const Relay& relay : gone) {
    if (!relay.program) continue;
    const auto same_name = std::find_if(made.begin(), made.end(), [&relay](const Relay& other) {
      return other.program && other.configured.name == relay.configured.name;
    });
    const auto successor = same_name == made.end() ? nullptr : same_name->program;
    if (successor == relay.program) continue;
    if (successor) same_name->waits = true;
    programs_.spawn("retire a program", retire(relay.program, *relay.target, successor));
  }
}

asio::awaitable<void> BackendSet::retire(std::shared_ptr<ManagedProcess> program,
                                         gateway::Target& target,
                                         std::shared_ptr<ManagedProcess> successor) {
  const auto wake = std::make_shared<asio::steady_timer>(main_, base::now() + drain_timeout_);
  retiring_.push_back(wake);
  target.set_idle_hook([main = main_, weak = std::weak_ptr(wake)] {
    asio::post(main, [weak] {
      if (const auto timer = weak.lock()) timer->cancel();
    });
  });
  while (target.in_flight() > 0 && base::now() < wake->expiry() && !stopping_) {
    [[maybe_unused]] auto waited = co_await wake->async_wait(asio::as_tuple(asio::use_awaitable));
  }
  target.set_idle_hook({});
  std::erase(retiring_, wake);
  co_await program->stop();
  if (successor && !stopping_) successor->launch();
}

void BackendSet::start(Relay& relay) {
  if (relay.program && !relay.waits) relay.program->launch();
  if (!relay.check) return;
  checks_.spawn("health check",
                gateway::probe_health(*relay.check, relay.target->health(), checks_.executor()));
}

void BackendSet::launch() {
  launched_ = true;
  for (Relay& relay : relays_) start(relay);
  for (const Engine& engine : engines_) engine.backend->launch();
}

void BackendSet::retry_failed() {
  for (const Engine& engine : engines_) {
    if (engine.backend->status().state == gateway::BackendState::failed) engine.backend->retry();
  }
  for (const Relay& relay : relays_) {
    if (!relay.program || relay.program->status().state != gateway::BackendState::failed) continue;
    relay.program->retry();
  }
}

std::vector<gateway::EngineBackend*> BackendSet::engines() const {
  std::vector<gateway::EngineBackend*> all;
  for (const Engine& engine : engines_) all.push_back(engine.backend.get());
  return all;
}

asio::awaitable<void> BackendSet::stop() {
  stopping_ = true;
  for (const auto& wake : retiring_) wake->cancel();
  for (const Relay& relay : relays_) {
    if (relay.program) programs_.spawn("stop a program", relay.program->stop());
  }
  co_await checks_.stop();
  co_await side_work_->stop();
  for (const Engine& engine : engines_) {
    co_await io::run_on(threads_.context(0).get_executor(), engine.backend->stop());
  }
  co_await programs_.join();
}

gateway::Target* BackendSet::find(std::string_view name) const {
  for (const Engine& engine : engines_) {
    const bool adapts = engine.backend->adapters().contains(std::string(name));
    if (adapts || engine.target->name() == name) return engine.target.get();
  }
  for (const Relay& relay : relays_) {
    if (relay.target->name() == name) return relay.target.get();
  }
  return nullptr;
}

}  // namespace deepseek::server
