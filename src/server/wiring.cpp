#include "server/wiring.hpp"

#include "base/clock.hpp"
#include "io/http_url.hpp"
#include "protocol/rpc/rpc_method.hpp"
#include "server/configuration_loader.hpp"
#include "server/usage_recorder.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <thread>

namespace deepseek::server {
namespace {

gateway::EngineCommand engine_command(const Configuration& configuration,
                                      const Configuration::Model& model,
                                      const ProgramPaths& paths) {
  const Configuration::Engine& engine = configuration.engine;
  gateway::EngineCommand command;
  command.program = engine.program.empty() ? paths.engine : engine.program;
  command.threads = engine.threads;
  command.threads_prefill = engine.threads_prefill;
  command.kv_bytes = configuration.memory.max_cache_size.resolve(machine_memory());
  command.kv_type = to_string(engine.kv_type);
  command.sequences_max = engine.sequences_max;
  command.queue_max = engine.priority_queue_size;
  command.prefill_chunk = engine.prefill_chunk;
  command.token_gap = engine.target_token_gap;
  command.prefix_sharing = to_string(engine.prefix_sharing);
  if (!engine.dynamic_batching) command.sequences_max = 1;
  command.batch_min = std::min(engine.min_batch_size, command.sequences_max);
  command.batch_wait = engine.batch_wait;
  command.state_bytes = engine.cache_memory.resolve(machine_memory());
  command.cache_dir = engine.cache_dir;
  command.cache_dir_bytes = engine.cache_dir_size.resolve(machine_memory());
  const bool guesses = engine.speculation == Speculation::prompt_lookup;
  command.draft_max = guesses ? engine.draft_max : 0;
  command.flash_attention = to_string(engine.flash_attention);
  command.layout = to_string(engine.layout);
  command.layout_loss = static_cast<std::uint32_t>(std::lround(engine.layout_loss_max * 10'000));
  command.layout_file = data_directory(configuration) + "/layouts.json";
  command.grammar_cache_bytes = engine.grammar_cache.resolve(machine_memory());
  command.grammar_compile = engine.grammar_timeout;
  command.attention_window = engine.attention_window;
  command.attention_sinks = engine.attention_sinks;
  command.context_max = model.context_max;
  command.embeddings = model.embeddings;
  command.warmup = engine.warmup_requests;
  command.log_format = configuration.log.format;
  command.log_level = configuration.log.level;
  return command;
}

}  // namespace

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
}

base::Result<gateway::EngineBackendOptions> engine_options(const Configuration& configuration,
                                                           const Configuration::Model& model,
                                                           const ProgramPaths& paths) {
  auto path = resolve_model_path(model, paths.share_directories);
  if (path.has_error()) return path.error();
  const Configuration::Engine& engine = configuration.engine;
  gateway::EngineBackendOptions options;
  options.model = model.name;
  options.command = engine_command(configuration, model, paths);
  options.command.model_path = *path;
  if (!model.draft_path.empty()) {
    auto found = resolve_beside_model(model, model.draft_path, "models[].draft_path",
                                      paths.share_directories);
    if (found.has_error()) return found.error();
    options.command.draft_model = std::move(*found);
  }
  for (const auto& [name, file] : model.adapters) {
    auto found = resolve_beside_model(model, file, "models[].adapters", paths.share_directories);
    if (found.has_error()) return found.error();
    options.command.adapters.emplace(name, std::move(*found));
  }
  options.preload = model.preload;
  options.stream_credits = static_cast<std::int32_t>(engine.stream_credits);
  options.rpc_timeout = configuration.network.rpc_timeout;
  options.queue_timeout = engine.queue_timeout;
  options.restart_backoff_max = engine.restart_backoff_max;
  options.silence_timeout = engine.silence_timeout;
  options.wedge_timeout = engine.wedge_timeout;
  options.shutdown_timeout = engine.shutdown_timeout;
  return options;
}

io::HttpServerOptions api_options(const Configuration& configuration,
                                  std::shared_ptr<const io::TlsContext> tls) {
  const Configuration::Http& http = configuration.http;
  io::HttpServerOptions options;
  options.connections_max = http.connections_max;
  options.head_max = http.head_max;
  options.fields_max = http.fields_max;
  options.head_timeout = http.head_timeout;
  options.idle_timeout = http.idle_timeout;
  options.body_timeout = http.body_timeout;
  options.write_timeout = http.write_timeout;
  options.tls = std::move(tls);
  return options;
}

io::GrpcServerOptions grpc_options(const Configuration& configuration) {
  const Configuration::Http& http = configuration.http;
  io::GrpcServerOptions options;
  options.service = protocol::rpc_service;
  for (const protocol::RpcRow& row : protocol::rpc_table()) options.paths.push_back(row.rpc_path);
  options.calls_max = configuration.grpc.calls_max;
  options.streams_max = configuration.grpc.streams_max;
  options.message_max = std::min<std::uint64_t>(http.body_max, 1u << 30);
  options.metadata_max = static_cast<std::uint32_t>(http.head_max);
  options.fields_max = http.fields_max;
  options.body_timeout = http.body_timeout;
  options.write_timeout = http.write_timeout;
  options.idle_timeout = http.idle_timeout;
  options.reflection = configuration.grpc.reflection;
  options.certificate = configuration.tls.certificate;
  options.key = configuration.tls.key;
  options.key_password = configuration.tls.key_password.reveal();
  return options;
}

io::HttpServerOptions metrics_options() {
  io::HttpServerOptions options;
  options.limit_prefix = "metrics.";
  options.connections_max = 64;
  return options;
}

protocol::RequestLimits request_limits(const Configuration::Limits& configured) {
  protocol::RequestLimits limits;
  limits.tokens_max = configured.tokens_max;
  limits.choices_max = configured.choices_max;
  limits.stop_max = configured.stop_max;
  limits.prompts_max = configured.prompts_max;
  limits.logprobs_max = configured.logprobs_max;
  limits.messages_max = configured.messages_max;
  limits.json_depth_max = configured.json_depth_max;
  limits.embedding_inputs_max = configured.embedding_inputs_max;
  limits.data_bytes_max = static_cast<std::int64_t>(configured.data_bytes_max);
  limits.data_rows_max = configured.data_rows_max;
  return limits;
}

std::size_t io_thread_count(const Configuration& configuration) {
  if (configuration.server.io_threads > 0) return configuration.server.io_threads;
  return std::max(1u, std::thread::hardware_concurrency());
}

std::int64_t file_time(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return base::unix_seconds();
  return std::max<std::int64_t>(facts.st_mtim.tv_sec, 1);
}

std::string base_url(const Configuration& configuration, std::uint16_t port) {
  std::string host = configuration.server.host;
  if (host == "0.0.0.0" || host == "::") host = "localhost";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (configuration.tls.enabled() ? "https://" : "http://") + host + ":" + std::to_string(port);
}

}  // namespace deepseek::server
