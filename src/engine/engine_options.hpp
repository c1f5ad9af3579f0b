// The command line of deepseek-engine: one table of flags, their values and help.
//
// Pure; parsed by main() before anything else.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace deepseek::engine {

struct EngineOptions {
  std::string model;
  int channel = -1;
  bool check = false;
  bool help = false;
  std::int32_t threads = 0;          // 0: physical cores
  std::int32_t threads_prefill = 0;  // 0: as threads
  std::uint64_t kv_bytes = 0;        // 0: one full context
  std::string kv_type = "f16";
  std::int32_t sequences_max = 16;
  std::int32_t queue_max = 256;
  std::int32_t prefill_chunk = 512;
  std::int32_t token_gap_ms = 100;
  std::string prefix_sharing = "user";
  std::int32_t batch_min = 1;
  std::int32_t batch_wait_ms = 10;
  std::uint64_t state_bytes = 1ULL << 30;  // of prefixes in memory whose cells were given up
  std::string cache_dir;                   // of prefixes on disk; empty: none
  std::uint64_t cache_dir_bytes = 4ULL << 30;
  std::int32_t draft_max = 8;
  std::string draft_model;  // a smaller model that guesses; empty: none
  std::string mmproj;       // a projector that reads images; empty: none are read
  std::int32_t image_pixels_max = 16'000'000;
  std::int32_t step_tokens_max = 512;
  std::int32_t micro_batch = 128;
  std::string flash_attention = "auto";
  std::string layout = "auto";        // auto, as_is
  std::int32_t layout_loss = 5000;    // millionths of perplexity for converted weights; 0: none
  std::string layout_file;            // of measurements; empty: they are made at each start
  std::int32_t attention_window = 0;  // last tokens that are kept; 0: all
  std::int32_t attention_sinks = 4;   // first tokens that are kept then
  std::int32_t context_max = 0;       // 0: what the model was trained for
  std::uint64_t grammar_cache_bytes = 256ULL << 20;  // of compiled constraints
  std::int32_t grammar_compile_ms = 2000;            // of one; then it is refused
  bool embeddings = false;
  std::vector<std::pair<std::string, std::string>> adapters;  // name and LoRA file
  std::int32_t gpu_layers = -1;
  std::int32_t warmup = 1;
  base::LogFormat log_format = base::LogFormat::text;
  base::LogLevel log_level = base::LogLevel::info;
};

// `arguments` without the program's name. `invalid_request` names the flag, what was found and what
// is allowed.
base::Result<EngineOptions> parse_engine_options(std::span<const char* const> arguments);
std::string engine_help();

}  // namespace deepseek::engine
