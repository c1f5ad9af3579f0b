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
#include "gateway/target.hpp"
#include "io/io_threads.hpp"
#include "server/configuration.hpp"
#include "server/program_paths.hpp"

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {

class BackendSet {
 public:
  BackendSet(io::IoThreads& threads, base::LogSink& sink) : threads_(threads), sink_(sink) {}

  // Looks at the model files, then makes everything. The error is one line for the person who
  // started the server.
  base::Result<void> make(const Configuration& configuration, const ProgramPaths& paths);
  void launch();
  // After a reload: engines that had given up try again.
  void retry_failed();
  // Ends the engine processes. On a coroutine of any thread.
  boost::asio::awaitable<void> stop();

  struct LocalModel {
    std::string id;
    std::int64_t created = 0;  // of its file, seconds since 1970
  };
  const std::vector<LocalModel>& local_models() const { return local_models_; }
  const std::vector<std::unique_ptr<gateway::EngineBackend>>& engines() const { return engines_; }
  const std::vector<std::unique_ptr<gateway::Target>>& targets() const { return targets_; }
  // By the name of a backend or of a local model; null if there is none.
  gateway::Target* find(std::string_view name) const;

 private:
  base::Result<void> make_engines(const Configuration& configuration, const ProgramPaths& paths);
  base::Result<void> make_relays(const Configuration& configuration);

  io::IoThreads& threads_;
  base::LogSink& sink_;
  std::vector<std::unique_ptr<gateway::EngineBackend>> engines_;
  std::vector<std::unique_ptr<gateway::OpenAiBackend>> relays_;
  std::vector<std::unique_ptr<gateway::Target>> targets_;
  std::vector<LocalModel> local_models_;
};

}  // namespace deepseek::server
