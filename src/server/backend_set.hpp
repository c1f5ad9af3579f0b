// Everything that answers: engines of local models and other servers, each with its target. Owns
// them, starts them and stops them.
//
// Made by Server; lives on main's thread, while its backends and targets are used by all I/O
// threads. It outlives every gateway made from it.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/relay/openai_backend.hpp"
#include "gateway/resilience/health_prober.hpp"
#include "gateway/side_work.hpp"
#include "gateway/target.hpp"
#include "io/io_threads.hpp"
#include "io/task_group.hpp"
#include "server/configuration.hpp"
#include "server/program_paths.hpp"

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

class BackendSet {
 public:
  // `main` runs the active health checks, on the thread that calls everything here.
  BackendSet(io::IoThreads& threads, base::LogSink& sink, boost::asio::any_io_executor main);

  // Looks at the model files, then makes everything. The error is one line for the person who
  // started the server.
  base::Result<void> make(const Configuration& configuration, const ProgramPaths& paths);
  void launch();
  // Takes the upstreams of a changed configuration: those that are the same keep their connections
  // and what is known of them. The others are made anew; what they replace stays until the end,
  // since requests may still use it. On an error nothing has changed.
  base::Result<void> update(const Configuration& configuration);
  // After a reload: engines that had given up try again.
  void retry_failed();
  // Ends the health checks and the engine processes. On a coroutine of the main thread; once.
  boost::asio::awaitable<void> stop();

  struct LocalModel {
    std::string id;
    std::int64_t created = 0;  // of its file, seconds since 1970
  };
  // For what hedges and shadows leave behind; ends with the backends.
  gateway::SideWork& side_work() const { return *side_work_; }
  const std::vector<LocalModel>& local_models() const { return local_models_; }
  std::vector<gateway::EngineBackend*> engines() const;
  // By the name of a backend or of a local model; null if there is none.
  gateway::Target* find(std::string_view name) const;

 private:
  base::Result<void> make_engines(const Configuration& configuration, const ProgramPaths& paths);

  struct Engine {
    std::unique_ptr<gateway::EngineBackend> backend;
    std::unique_ptr<gateway::Target> target;
  };
  struct Relay {
    Configuration::Backend configured;
    std::unique_ptr<gateway::OpenAiBackend> backend;
    std::unique_ptr<gateway::Target> target;
    std::unique_ptr<gateway::HealthProberOptions> check;  // null: it is not asked
  };
  void start_check(Relay& relay);
  base::Result<Relay> make_relay(const Configuration& configuration,
                                 const Configuration::Backend& backend);

  io::IoThreads& threads_;
  base::LogSink& sink_;
  io::TaskGroup checks_;
  std::unique_ptr<gateway::SideWork> side_work_;
  bool launched_ = false;
  std::vector<Engine> engines_;
  std::vector<Relay> relays_;
  std::vector<Relay> retired_;
  std::vector<LocalModel> local_models_;
};

}  // namespace deepseek::server
