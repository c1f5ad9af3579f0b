#include "server/server.hpp"

#include "base/version.hpp"
#include "io/systemd_notify.hpp"
#include "server/configuration_loader.hpp"

#include <unistd.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <utility>

namespace deepseek::server {

namespace asio = boost::asio;

Server::Server(Configuration configuration, CommandLine command_line)
    : configuration_(std::move(configuration)),
      command_line_(std::move(command_line)),
      paths_(find_program_paths()),
      sink_({configuration_.log.format, configuration_.log.level}),
      logger_(sink_, "server"),
      metrics_(registry_),
      observer_(metrics_),
      metrics_page_(registry_),
      context_(1),
      tasks_(context_.get_executor(), [this](std::string_view task, std::string_view what) {
        logger_.error("a task failed", {{"task", task}, {"what", what}});
      }) {}

Server::~Server() {
  // What was never started ends here as well.
  if (!threads_) return;
  threads_->stop();
  threads_->join();
}

base::Result<void> Server::prepare() {
  threads_ = std::make_unique<io::IoThreads>(io_thread_count(configuration_));
  auto made =
      backends_.emplace(*threads_, sink_, context_.get_executor()).make(configuration_, paths_);
  if (made.has_error()) return made.error();
  auto opened = open_ledger();
  if (opened.has_error()) return opened.error();
  opened = open_cache();
  if (opened.has_error()) return opened.error();
  opened = open_responses();
  if (opened.has_error()) return opened.error();
  auto snapshot = make_snapshot(configuration_, *backends_, usage_.get(), kept());
  if (snapshot.has_error()) return snapshot.error();
  frontend::Frontend::Options options;
  options.version = base::version();
  options.logger = base::Logger(sink_, "frontend");
  options.observer = &observer_;
  watch_outliers(**snapshot);
  frontend_.emplace(std::move(options), std::move(*snapshot));
  metrics_page_.show(*frontend_);
  metrics_page_.show_engines([this] { return engine_reports(); });
  watch_metrics();
  return open_ports();
}

// A folder that somebody named must work. The usual one is a convenience: without it the server
// still answers, and says that it keeps no accounts.
base::Result<void> Server::open_ledger() {
  auto made = make_usage_recorder(configuration_, base::Logger(sink_, "ledger"));
  if (!made.has_error()) {
    usage_ = std::move(*made);
    return {};
  }
  if (!configuration_.data_dir.empty()) return made.error();
  logger_.warning(
      "usage is not recorded: set data_dir to a folder that can be written, or "
      "ledger.enabled to false",
      {{"reason", made.error().message}});
  return {};
}

base::Result<void> Server::open_cache() {
  auto made = make_answer_cache(configuration_, usage_.get(), base::Logger(sink_, "cache"));
  if (made.has_error()) return made.error();
  cache_ = std::move(*made);
  return {};
}

// The same as with the ledger: without the usual folder no response is kept, and each says so.
base::Result<void> Server::open_responses() {
  auto made = make_response_store(configuration_, base::Logger(sink_, "responses"));
  if (!made.has_error()) {
    responses_ = std::move(*made);
    return {};
  }
  if (!configuration_.data_dir.empty()) return made.error();
  logger_.warning(
      "responses are not kept: set data_dir to a folder that can be written, or "
      "responses.enabled to false",
      {{"reason", made.error().message}});
  return {};
}

base::Result<void> Server::open_ports() {
  std::shared_ptr<const io::TlsContext> tls;
  if (configuration_.tls.enabled()) {
    auto loaded = io::TlsContext::load(configuration_.tls.certificate, configuration_.tls.key,
                                       configuration_.tls.key_password.reveal());
    if (loaded.has_error()) return loaded.error();
    tls = std::move(*loaded);
  }
  const base::Logger logger(sink_, "http");
  api_.emplace(*threads_, *frontend_, api_options(configuration_, std::move(tls)), logger);
  auto port = api_->listen(configuration_.server.host,
                           static_cast<std::uint16_t>(configuration_.server.port));
  if (port.has_error()) return port.error();
  api_port_ = *port;
  if (!configuration_.metrics.enabled) return open_grpc();
  metrics_server_.emplace(*threads_, metrics_page_, metrics_options(), logger);
  port = metrics_server_->listen(configuration_.metrics.host,
                                 static_cast<std::uint16_t>(configuration_.metrics.port));
  if (port.has_error()) return port.error();
  metrics_port_ = *port;
  return open_grpc();
}

// Last, since from here on calls may come.
base::Result<void> Server::open_grpc() {
  if (!configuration_.grpc.enabled) return {};
  grpc_.emplace(*threads_, *frontend_, grpc_options(configuration_), base::Logger(sink_, "grpc"));
  auto port =
      grpc_->listen(configuration_.grpc.host, static_cast<std::uint16_t>(configuration_.grpc.port));
  if (port.has_error()) return port.error();
  grpc_port_ = *port;
  return {};
}

std::vector<frontend::EngineReport> Server::engine_reports() const {
  std::vector<frontend::EngineReport> reports;
  for (const auto& backend : backends_->engines()) {
    const auto description = backend->description();
    reports.push_back({std::string(backend->model()), backend->status(), backend->load(),
                       backend->sequences(), description.value_or(gateway::EngineDescription{})});
  }
  return reports;
}

void Server::watch_metrics() {
  metrics_.set_build(base::version(), base::llama_cpp());
  registry_.on_scrape([this] {
    metrics_.set_http_connections(static_cast<double>(api_->connections()));
    for (const auto& backend : backends_->engines()) {
      const gateway::BackendStatus status = backend->status();
      const gateway::EngineLoadFigures load = backend->load();
      observe::ServerMetrics::Engine engine;
      engine.ready = status.state == gateway::BackendState::ready;
      engine.degraded = !status.degraded.empty();
      engine.restarts = status.restarts;
      engine.running_sequences = load.running;
      engine.waiting_requests = load.waiting;
      engine.kv_cells_used = static_cast<double>(load.kv_cells_used);
      engine.kv_cells_resting = static_cast<double>(load.kv_cells_resting);
      engine.memory_fragmentation = gateway::fragmentation(load);
      engine.prefill_tokens = load.prefill_tokens;
      engine.decode_tokens = load.decode_tokens;
      engine.cached_tokens = load.cached_tokens;
      engine.preemptions = load.preemptions;
      engine.batch_sizes = load.batch_sizes;
      engine.drafted_tokens = load.drafted_tokens;
      engine.accepted_tokens = load.accepted_tokens;
      engine.state_bytes = load.state_bytes;
      engine.states_put_back = load.states_put_back;
      engine.disk_bytes = load.disk_bytes;
      engine.disk_reads = load.disk_reads;
      engine.evicted_cells = load.evicted_cells;
      if (const auto description = backend->description()) {
        engine.kv_cells_total = static_cast<double>(description->kv_cells);
      }
      engine.step_seconds = load.step_ms / 1000;
      engine.pid = status.pid;
      metrics_.set_engine(backend->model(), engine);
    }
    watch_cache();
    watch_responses();
    set_gateway_metrics();
    metrics_.set_process();
  });
}

void Server::set_gateway_metrics() {
  const auto snapshot = frontend_->snapshot();
  for (const gateway::Gateway::Line& line : snapshot->gateway->lines()) {
    metrics_.set_queued(line.route, line.requests);
  }
  for (const gateway::BackendReport& report : snapshot->gateway->backends(base::now())) {
    observe::ServerMetrics::Backend backend;
    backend.usable = report.usable();
    backend.in_flight = report.in_flight;
    backend.breaker_open = report.health.breaker != gateway::BreakerState::closed;
    backend.restarts = report.local ? 0 : report.status.restarts;
    backend.first_token_seconds =
        std::chrono::duration<double>(report.health.first_token_average).count();
    metrics_.set_backend(report.name, backend);
  }
}

void Server::watch_responses() {
  if (!responses_) return;
  const gateway::ResponseStore::Figures figures = responses_->figures();
  observe::ServerMetrics::KeptResponses kept;
  kept.rows = figures.rows;
  kept.bytes = figures.bytes;
  kept.stored = figures.stored;
  kept.evicted = figures.evicted;
  kept.expired = figures.expired;
  kept.refused = figures.refused;
  kept.failures = figures.failures;
  metrics_.set_kept_responses(kept);
}

void Server::watch_cache() {
  if (!cache_) return;
  const gateway::CacheFigures figures = cache_->store().figures();
  observe::ServerMetrics::ResponseCache cache;
  cache.stored = figures.stored;
  cache.evicted = figures.evicted;
  cache.expired = figures.expired;
  cache.refused = figures.refused;
  cache.entries = figures.entries;
  cache.bytes = figures.bytes;
  metrics_.set_response_cache(cache);
}

int Server::run() {
  signals_.emplace(context_.get_executor());
  backends_->launch();
  api_->start();
  if (metrics_server_) metrics_server_->start();
  threads_->start();
  announce();
  tasks_.spawn("signals", handle_signals());
  context_.run();
  threads_->stop();
  threads_->join();
  if (usage_) usage_->stop();
  logger_.info("stopped");
  return 0;
}

void Server::announce() const {
  logger_.info("listening", {{"for", "api"},
                             {"address", configuration_.server.host},
                             {"port", static_cast<int>(api_port_)}});
  if (metrics_server_) {
    logger_.info("listening", {{"for", "metrics"},
                               {"address", configuration_.metrics.host},
                               {"port", static_cast<int>(metrics_port_)}});
  }
  if (grpc_) {
    logger_.info("listening", {{"for", "grpc"},
                               {"address", configuration_.grpc.host},
                               {"port", static_cast<int>(grpc_port_)}});
  }
  logger_.info("deepseek-server " + std::string(base::version()) + " is at " +
               base_url(configuration_, api_port_));
}

asio::awaitable<void> Server::handle_signals() {
  io::TaskGroup companions(context_.get_executor());
  companions.spawn("systemd", tell_systemd());
  companions.spawn("outliers", compare_backends());
  int number = SIGHUP;
  while (number == SIGHUP) {
    number = co_await signals_->next();
    if (number == SIGHUP) reload();
  }
  logger_.info("stopping: no new connections, running requests are finished",
               {{"signal", number}, {"drain_timeout", configuration_.server.drain_timeout}});
  [[maybe_unused]] auto told = io::notify_systemd("STOPPING=1\nSTATUS=finishing what runs");
  companions.spawn("second signal", end_at_second_signal());
  co_await drain();
  co_await companions.stop();
}

asio::awaitable<void> Server::end_at_second_signal() {
  int number = SIGHUP;
  while (number == SIGHUP) {
    number = co_await signals_->next();
  }
  if (number == 0) co_return;
  // Engines end with this process: the kernel sees to that.
  logger_.warning("a second signal: ending at once", {{"signal", number}});
  sink_.flush(std::chrono::milliseconds(200));
  std::_Exit(128 + number);
}

// READY once the ports are open; how the models are is the status line of `systemctl status`.
asio::awaitable<void> Server::tell_systemd() {
  auto told = io::notify_systemd("READY=1");
  if (told.has_error()) {
    logger_.warning("systemd was not told", {{"reason", told.error().message}});
  }
  if (told.has_error() || std::getenv("NOTIFY_SOCKET") == nullptr) co_return;
  asio::steady_timer timer(context_);
  std::string last;
  while (true) {
    std::string status = "STATUS=";
    for (const auto& backend : backends_->engines()) {
      const gateway::BackendStatus state = backend->status();
      if (status.size() > 7) status += "; ";
      status += backend->model() + ": ";
      status += state.reason.empty() ? gateway::to_string(state.state) : state.reason;
    }
    if (status != last) told = io::notify_systemd(status);
    last = std::move(status);
    timer.expires_after(std::chrono::milliseconds(500));
    auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
  }
}

void Server::watch_outliers(const frontend::Snapshot& snapshot) {
  const auto options = outlier_options(configuration_.breaker);
  outliers_.watch(
      options ? snapshot.gateway->route_targets() : std::vector<std::vector<gateway::Target*>>{},
      options.value_or(gateway::OutlierOptions{}));
}

asio::awaitable<void> Server::compare_backends() {
  asio::steady_timer timer(context_);
  while (true) {
    timer.expires_after(configuration_.breaker.outlier_interval);
    auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    outliers_.evaluate(base::now(),
                       [this](const gateway::Target& target, const gateway::Ejection& ejection) {
                         logger_.warning("a backend is left alone for a while",
                                         {{"backend", target.name()}, {"why", ejection.reason}});
                       });
  }
}

asio::awaitable<void> Server::drain() {
  const auto drain_timeout = configuration_.server.drain_timeout;
  frontend_->set_draining();
  asio::steady_timer limit(context_, drain_timeout);
  io::TaskGroup ending(context_.get_executor());
  ending.spawn("stop backends", stop_backends(limit));
  // Answers that run too long end with their engine, so that they get an error and not a cut.
  const auto cut_after =
      drain_timeout + configuration_.engine.shutdown_timeout + std::chrono::milliseconds(1000);
  io::TaskGroup calls(context_.get_executor());
  if (grpc_) calls.spawn("drain gRPC", drain_grpc(cut_after));
  const bool all_answered = co_await api_->drain(cut_after);
  if (!all_answered) logger_.warning("connections were cut");
  co_await calls.join();
  drained_ = true;
  limit.expires_at(base::TimePoint::min());
  co_await ending.join();
  if (metrics_server_) {
    [[maybe_unused]] const bool ended =
        co_await metrics_server_->drain(std::chrono::milliseconds(1000));
  }
}

asio::awaitable<void> Server::drain_grpc(std::chrono::milliseconds limit) {
  const bool all_answered = co_await grpc_->drain(limit);
  if (!all_answered) logger_.warning("calls of gRPC were cut");
}

// At the limit, or as soon as everything is answered.
asio::awaitable<void> Server::stop_backends(asio::steady_timer& limit) {
  [[maybe_unused]] auto waited = co_await limit.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!drained_) {
    logger_.warning("what still runs is ended: it took longer than server.drain_timeout",
                    {{"drain_timeout", configuration_.server.drain_timeout}});
  }
  co_await backends_->stop();
}

void Server::reload() {
  auto loaded = load_configuration(command_line_, system_outside());
  if (loaded.has_error()) {
    logger_.warning("reload failed and changed nothing", {{"reason", loaded.error().message}});
    return;
  }
  std::string changed;
  std::string waiting;
  for (const SettingChange& change : diff_reloadable(configuration_, loaded->values)) {
    std::string& names = change.reloadable ? changed : waiting;
    names += (names.empty() ? "" : ", ") + change.name;
  }
  apply(reloadable_part(configuration_, loaded->values));
  logger_.info("reloaded", {{"changed", changed.empty() ? "nothing" : changed}});
  if (!waiting.empty()) {
    logger_.warning("changes that need a restart are not in effect", {{"settings", waiting}});
  }
}

void Server::apply(const Configuration& wanted) {
  auto updated = backends_->update(wanted);
  if (updated.has_error()) {
    logger_.warning("reload failed and changed nothing", {{"reason", updated.error().message}});
    return;
  }
  auto snapshot = make_snapshot(wanted, *backends_, usage_.get(), kept());
  if (snapshot.has_error()) {
    logger_.warning("reload failed: routes and keys stay as they were",
                    {{"reason", snapshot.error().message}});
    return;
  }
  configuration_ = wanted;
  sink_.set_level(configuration_.log.level);
  if (usage_) usage_->set_prices(configuration_);
  watch_outliers(**snapshot);
  frontend_->replace(std::move(*snapshot));
  backends_->retry_failed();
}

}  // namespace deepseek::server
