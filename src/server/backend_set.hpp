// Everything that answers: engines of local models, programs that we start for it, and other
// servers, each with its target. Owns them, starts them and stops them.
//
// Made by Server; lives on main's thread, while its backends and targets are used by all I/O
// threads. It outlives every gateway made from it.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/grpc/grpc_backend.hpp"
#include "gateway/managed/managed_backend.hpp"
#include "gateway/relay/relay_backend.hpp"
#include "gateway/resilience/health_prober.hpp"
#include "gateway/side_work.hpp"
#include "gateway/target.hpp"
#include "io/io_threads.hpp"
#include "io/task_group.hpp"
#include "server/configuration.hpp"
#include "server/program_paths.hpp"
#include "server/target_source.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

class BackendSet final : public TargetSource {
 public:
  // `main` runs the active health checks and keeps the programs, on the thread that calls
  // everything here.
  BackendSet(io::IoThreads& threads, base::LogSink& sink, boost::asio::any_io_executor main);

  // Looks at the model files, then makes everything. The error is one line for the person who
  // started the server.
  base::Result<void> make(const Configuration& configuration, const ProgramPaths& paths);
  void launch();
  // Takes the upstreams of a changed configuration: those that are the same keep their connections
  // and what is known of them. The others are made anew; what they replace stays until the end,
  // since requests may still use it. A program of ours runs on if what starts it is the same;
  // otherwise it ends when its requests have, and the one in its place starts after that, since
  // both may need the same devices. On an error nothing has changed.
  base::Result<void> update(const Configuration& configuration);
  // After a reload: engines and programs that had given up try again.
  void retry_failed();
  // Ends the health checks, the programs and the engine processes. On a coroutine of the main
  // thread; once.
  boost::asio::awaitable<void> stop();

  gateway::SideWork* side_work() const override { return side_work_.get(); }
  const std::vector<LocalModel>& local_models() const override { return local_models_; }
  std::vector<gateway::EngineBackend*> engines() const;
  gateway::Target* find(std::string_view name) const override;

 private:
  base::Result<void> make_engines(const Configuration& configuration, const ProgramPaths& paths);

  struct Engine {
    std::unique_ptr<gateway::EngineBackend> backend;
    std::unique_ptr<gateway::Target> target;
  };
  struct Relay {
    Configuration::Backend configured;
    std::shared_ptr<gateway::ManagedProcess> program;  // null: it is not ours
    std::unique_ptr<gateway::RelayBackend> backend;
    std::unique_ptr<gateway::GrpcBackend> grpc;        // in place of `backend`
    std::unique_ptr<gateway::ManagedBackend> managed;  // of `program`, in front of `backend`
    std::unique_ptr<gateway::Target> target;
    std::unique_ptr<gateway::HealthProberOptions> check;  // null: it is not asked
    bool waits = false;  // for the end of the program in whose place `program` starts
  };
  void start(Relay& relay);
  base::Result<Relay> make_relay(const Configuration& configuration,
                                 const Configuration::Backend& backend);
  base::Result<Relay> make_grpc(const Configuration& configuration,
                                const Configuration::Backend& backend);
  base::Result<std::shared_ptr<gateway::ManagedProcess>> find_or_make_program(
      const Configuration& configuration, const Configuration::Backend& backend);
  void replace_programs(std::span<Relay> gone, std::span<Relay> made);
  boost::asio::awaitable<void> retire(std::shared_ptr<gateway::ManagedProcess> program,
                                      gateway::Target& target,
                                      std::shared_ptr<gateway::ManagedProcess> successor);

  io::IoThreads& threads_;
  base::LogSink& sink_;
  io::TaskGroup checks_;
  io::TaskGroup programs_;  // those that end
  boost::asio::any_io_executor main_;
  std::string server_program_;
  std::set<std::uint16_t> ports_;  // that programs have or had
  base::Milliseconds drain_timeout_{0};
  std::unique_ptr<gateway::SideWork> side_work_;
  bool launched_ = false;
  bool stopping_ = false;
  std::vector<Engine> engines_;
  std::vector<Relay> relays_;
  std::vector<Relay> retired_;
  std::vector<std::shared_ptr<boost::asio::steady_timer>> retiring_;  // waits, to be cancelled
  std::vector<LocalModel> local_models_;
};

}  // namespace deepseek::server
