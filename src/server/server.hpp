// The running server: owns every object of the process in the order in which they are made, and
// takes them down again.
//
// Lives on main's thread, whose io_context handles signals and reloads (which may read files); the
// I/O threads serve.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "frontend/answer_cache.hpp"
#include "frontend/frontend.hpp"
#include "frontend/metrics_page.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/outlier_watch.hpp"
#include "gateway/responses/response_store.hpp"
#include "io/grpc_server.hpp"
#include "io/http_server.hpp"
#include "io/io_threads.hpp"
#include "io/signals.hpp"
#include "io/task_group.hpp"
#include "observe/metrics.hpp"
#include "observe/server_metrics.hpp"
#include "server/backend_set.hpp"
#include "server/command_line.hpp"
#include "server/configuration.hpp"
#include "server/program_paths.hpp"
#include "server/usage_recorder.hpp"
#include "server/wiring.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::server {

class Server {
 public:
  Server(Configuration configuration, CommandLine command_line);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Looks at the models, makes everything and opens the ports. Says nothing unless it fails; the
  // error is one line for the person who started it.
  base::Result<void> prepare();

  // Serves until a signal ends it; returns the exit status.
  int run();

 private:
  base::Result<void> open_ledger();
  base::Result<void> open_cache();
  base::Result<void> open_responses();
  KeptAnswers kept() const { return {cache_.get(), responses_.get()}; }
  base::Result<void> open_ports();
  base::Result<void> open_grpc();
  void watch_metrics();
  std::vector<frontend::EngineReport> engine_reports() const;
  void watch_cache();
  void watch_responses();
  void set_gateway_metrics();
  void announce() const;

  boost::asio::awaitable<void> handle_signals();
  boost::asio::awaitable<void> end_at_second_signal();
  boost::asio::awaitable<void> tell_systemd();
  boost::asio::awaitable<void> compare_backends();
  void watch_outliers(const frontend::Snapshot& snapshot);
  boost::asio::awaitable<void> drain();
  boost::asio::awaitable<void> drain_grpc(std::chrono::milliseconds limit);
  boost::asio::awaitable<void> stop_backends(boost::asio::steady_timer& limit);
  void reload();
  void apply(const Configuration& wanted);

  Configuration configuration_;  // in effect now
  const CommandLine command_line_;
  const ProgramPaths paths_;

  base::LogSink sink_;
  const base::Logger logger_;
  observe::Registry registry_;
  observe::ServerMetrics metrics_;
  frontend::MetricsObserver observer_;
  frontend::MetricsPage metrics_page_;
  boost::asio::io_context context_;
  std::optional<io::Signals> signals_;  // from run() on; before, a signal ends the process
  io::TaskGroup tasks_;
  std::unique_ptr<io::IoThreads> threads_;
  std::unique_ptr<UsageRecorder> usage_;               // null: nothing is recorded
  std::unique_ptr<frontend::AnswerCache> cache_;       // null: no answers are kept
  std::unique_ptr<gateway::ResponseStore> responses_;  // null: none are kept
  std::optional<BackendSet> backends_;
  gateway::OutlierWatch outliers_;
  std::optional<frontend::Frontend> frontend_;
  std::optional<io::HttpServer> api_;
  std::optional<io::HttpServer> metrics_server_;
  std::optional<io::GrpcServer> grpc_;
  bool drained_ = false;
  std::uint16_t api_port_ = 0;
  std::uint16_t metrics_port_ = 0;
  std::uint16_t grpc_port_ = 0;
};

}  // namespace deepseek::server
