// From the whole configuration to each room's own options.
//
// Pure, except where a file or this machine is asked for its size. The only place that knows both
// sides.
#pragma once

#include "base/result.hpp"
#include "frontend/answer_cache.hpp"
#include "frontend/snapshot.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/cache/cache_rules.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/grpc/grpc_backend.hpp"
#include "gateway/managed/managed_process.hpp"
#include "gateway/relay/openai_backend.hpp"
#include "gateway/resilience/outlier_detector.hpp"
#include "gateway/target.hpp"
#include "io/grpc_server.hpp"
#include "io/http_server.hpp"
#include "server/configuration.hpp"
#include "server/program_paths.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {
class ResponseStore;
}

namespace deepseek::server {

class TargetSource;

std::uint64_t machine_memory();  // bytes; 0 if it is not known

// One engine's options; the error names the model's file and where it was looked for.
base::Result<gateway::EngineBackendOptions> engine_options(const Configuration& configuration,
                                                           const Configuration::Model& model,
                                                           const ProgramPaths& paths);

io::HttpServerOptions api_options(const Configuration& configuration,
                                  std::shared_ptr<const io::TlsContext> tls);
io::GrpcServerOptions grpc_options(const Configuration& configuration);
io::HttpServerOptions metrics_options();

// One upstream's options, at `port` of this machine if it is managed; the error names the setting.
base::Result<gateway::OpenAiBackendOptions> relay_options(const Configuration::Backend& backend,
                                                          std::uint16_t port);
// The same for one of type grpc.
base::Result<gateway::GrpcBackendOptions> grpc_backend_options(
    const Configuration::Backend& backend);
// What is started for a managed backend; without its port if it may be any.
gateway::ManagedCommand managed_command(const Configuration::Backend& backend);
gateway::ManagedProcessOptions managed_options(const Configuration& configuration,
                                               const Configuration::Backend& backend,
                                               const ProgramPaths& paths);
gateway::TokenPrices token_prices(const Configuration::Backend& backend);
// Nothing if backends are not compared.
std::optional<gateway::OutlierOptions> outlier_options(const Configuration::Breaker& configured);
gateway::TargetOptions engine_target(const Configuration& configuration, const std::string& model);
gateway::TargetOptions relay_target(const Configuration& configuration,
                                    const Configuration::Backend& backend);

// The response cache; null when cache.enabled is false. The error names the file.
base::Result<std::unique_ptr<frontend::AnswerCache>> make_answer_cache(
    const Configuration& configuration, gateway::AttemptObserver* observer, base::Logger logger);
// The kept responses; null when responses.enabled is false. The error names the file.
base::Result<std::unique_ptr<gateway::ResponseStore>> make_response_store(
    const Configuration& configuration, base::Logger logger);
gateway::CacheRules cache_rules(const Configuration& configuration, bool route_allows);
// What the answers of these backends depend on beside the request, for the keys of the cache.
std::string cache_scope(const Configuration& configuration, const TargetSource& backends,
                        const std::vector<gateway::Target*>& targets);

// What is kept beside the configuration and outlives its reloads; both may be null.
struct KeptAnswers {
  frontend::AnswerCache* cache = nullptr;
  gateway::ResponseStore* responses = nullptr;
};
// Keys, routes, limits: what requests see of the configuration, made anew for a reload. The error
// names the setting.
base::Result<std::shared_ptr<const frontend::Snapshot>> make_snapshot(
    const Configuration& configuration, const TargetSource& backends,
    gateway::AttemptObserver* observer, const KeptAnswers& kept);

protocol::RequestLimits request_limits(const Configuration::Limits& configured);

std::size_t io_thread_count(const Configuration& configuration);

// When the file was last changed; the current time if it cannot be told.
std::int64_t file_time(const std::string& path);

// "http://127.0.0.1:8080", as a person puts it into a browser.
std::string base_url(const Configuration& configuration, std::uint16_t port);

}  // namespace deepseek::server
