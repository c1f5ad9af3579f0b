#include "gateway/engine_launcher.hpp"

#include "io/child_process.hpp"
#include "io/frame_channel.hpp"

#include <unistd.h>
#include <csignal>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;

namespace {

constexpr int child_channel = 3;

std::string_view level_name(base::LogLevel level) {
  switch (level) {
    case base::LogLevel::debug:
      return "debug";
    case base::LogLevel::info:
      return "info";
    case base::LogLevel::warning:
      return "warning";
    case base::LogLevel::error:
      return "error";
  }
  return "info";
}

class ChildEngine final : public EngineProcess {
 public:
  explicit ChildEngine(io::ChildProcess child) : child_(std::move(child)) {}
  int pid() const override { return child_.pid(); }
  void signal(int number) override { child_.signal(number); }
  asio::awaitable<EngineEnd> wait() override {
    const io::ChildExit exit = co_await child_.wait();
    co_return EngineEnd{(exit.signal ? "was " : "ended with ") + exit.describe(),
                        exit.signal == SIGKILL};
  }

 private:
  io::ChildProcess child_;
};

class ChildLauncher final : public EngineLauncher {
 public:
  explicit ChildLauncher(EngineCommand command) : command_(std::move(command)) {}

  base::Result<LaunchedEngine> launch(asio::any_io_executor executor, bool without_gpu) override {
    const base::Result<std::pair<int, int>> pair = io::make_socket_pair();
    if (pair.has_error()) return pair.error();
    io::ChildOptions options;
    options.program = command_.program;
    options.arguments = engine_arguments(command_);
    options.arguments.insert(options.arguments.end(), {"--channel", std::to_string(child_channel)});
    if (without_gpu) options.arguments.insert(options.arguments.end(), {"--gpu-layers", "0"});
    options.descriptors = {{pair->second, child_channel}};
    base::Result<io::ChildProcess> child = io::ChildProcess::spawn(std::move(executor), options);
    ::close(pair->second);
    if (child.has_error()) {
      ::close(pair->first);
      return child.error();
    }
    return LaunchedEngine{pair->first, std::make_unique<ChildEngine>(std::move(*child))};
  }

 private:
  EngineCommand command_;
};

}  // namespace

std::vector<std::string> engine_arguments(const EngineCommand& command) {
  std::vector<std::string> arguments;
  const auto add = [&arguments](const char* name, std::string value) {
    arguments.emplace_back(name);
    arguments.push_back(std::move(value));
  };
  add("--model", command.model_path);
  add("--threads", std::to_string(command.threads));
  add("--threads-prefill", std::to_string(command.threads_prefill));
  add("--kv-bytes", std::to_string(command.kv_bytes) + "B");
  add("--kv-type", command.kv_type);
  add("--sequences-max", std::to_string(command.sequences_max));
  add("--queue-max", std::to_string(command.queue_max));
  add("--prefill-chunk", std::to_string(command.prefill_chunk));
  add("--token-gap", std::to_string(command.token_gap.count()));
  add("--prefix-sharing", command.prefix_sharing);
  add("--batch-min", std::to_string(command.batch_min));
  add("--batch-wait", std::to_string(command.batch_wait.count()));
  add("--state-bytes", std::to_string(command.state_bytes) + "B");
  if (!command.cache_dir.empty()) {
    add("--cache-dir", command.cache_dir);
    add("--cache-dir-bytes", std::to_string(command.cache_dir_bytes) + "B");
  }
  add("--draft-max", std::to_string(command.draft_max));
  if (!command.draft_model.empty()) add("--draft-model", command.draft_model);
  if (!command.mmproj.empty()) {
    add("--mmproj", command.mmproj);
    add("--image-pixels-max", std::to_string(command.image_pixels_max));
  }
  add("--flash-attention", command.flash_attention);
  add("--layout", command.layout);
  add("--layout-loss", std::to_string(command.layout_loss));
  if (!command.layout_file.empty()) add("--layout-file", command.layout_file);
  add("--grammar-cache", std::to_string(command.grammar_cache_bytes) + "B");
  add("--grammar-compile", std::to_string(command.grammar_compile.count()));
  add("--attention-window", std::to_string(command.attention_window));
  add("--attention-sinks", std::to_string(command.attention_sinks));
  add("--context-max", std::to_string(command.context_max));
  for (const auto& [name, file] : command.adapters) add("--adapter", name + "=" + file);
  if (command.embeddings) arguments.emplace_back("--embeddings");
  add("--warmup", std::to_string(command.warmup));
  add("--log-format", command.log_format == base::LogFormat::json ? "json" : "text");
  add("--log-level", std::string(level_name(command.log_level)));
  return arguments;
}

std::unique_ptr<EngineLauncher> make_engine_launcher(EngineCommand command) {
  return std::make_unique<ChildLauncher>(std::move(command));
}

}  // namespace deepseek::gateway
