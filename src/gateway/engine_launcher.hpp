// How an engine process comes to life: the one step of the engine backend that tests replace.
//
// Called on the backend's owner thread only. A launcher keeps no process; the backend owns what
// launch() returns.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace deepseek::gateway {

// The program and the flags of deepseek-engine; zero or "auto" leaves the choice to the engine.
struct EngineCommand {
  std::string program;  // an absolute path
  std::string model_path;
  std::uint32_t threads = 0;
  std::uint32_t threads_prefill = 0;
  std::uint64_t kv_bytes = 0;
  std::string kv_type = "f16";  // f16, q8_0, q4_0
  std::uint32_t sequences_max = 16;
  std::uint32_t queue_max = 256;
  std::uint32_t prefill_chunk = 512;
  base::Milliseconds token_gap{100};
  std::string prefix_sharing = "user";  // none, user, tenant, all
  std::uint32_t batch_min = 1;
  base::Milliseconds batch_wait{10};
  std::uint64_t state_bytes = 0;  // of prefixes in memory whose cells were given up
  std::string cache_dir;          // empty: prefixes are not stored
  std::uint64_t cache_dir_bytes = 0;
  std::string draft_model{};                   // a smaller model that guesses; empty: none
  std::string mmproj{};                        // a projector that reads images; empty: none
  std::int64_t image_pixels_max = 16'000'000;  // of one image
  std::uint32_t draft_max = 0;                 // guessed tokens of one sequence in a step
  std::string flash_attention = "auto";        // auto, on, off
  std::string layout = "auto";                 // auto, as_is
  std::uint32_t layout_loss = 0;               // millionths of perplexity for converted weights
  std::string layout_file;                     // of measurements; empty: they are made each time
  std::uint64_t grammar_cache_bytes = 256ULL << 20;  // of compiled constraints
  base::Milliseconds grammar_compile{2'000};         // of one; then it is refused
  std::uint32_t attention_window = 0;                // last tokens that are kept; 0: all
  std::uint32_t attention_sinks = 4;                 // first tokens that are kept then
  std::uint32_t context_max = 0;
  bool embeddings = false;
  std::map<std::string, std::string> adapters{};  // name → LoRA file
  std::uint32_t warmup = 1;
  base::LogFormat log_format = base::LogFormat::text;
  base::LogLevel log_level = base::LogLevel::info;
};

// The flags for `command`, without --channel and --check. Pure.
std::vector<std::string> engine_arguments(const EngineCommand& command);

struct EngineEnd {
  std::string how;      // as "was killed by signal 9 (Killed)" or "ended with exit status 1"
  bool killed = false;  // by SIGKILL: never by what it computed
};

class EngineProcess {
 public:
  virtual ~EngineProcess() = default;  // kills and reaps what still runs
  virtual int pid() const = 0;
  virtual void signal(int number) = 0;                   // nothing after it ended
  virtual boost::asio::awaitable<EngineEnd> wait() = 0;  // once
};

struct LaunchedEngine {
  int channel = -1;  // our end of the socket pair
  std::unique_ptr<EngineProcess> process;
};

class EngineLauncher {
 public:
  virtual ~EngineLauncher() = default;
  // `without_gpu`: whatever devices there are, the model runs on the processor.
  virtual base::Result<LaunchedEngine> launch(boost::asio::any_io_executor executor,
                                              bool without_gpu) = 0;
};

std::unique_ptr<EngineLauncher> make_engine_launcher(EngineCommand command);

}  // namespace deepseek::gateway
