// The whole configuration as plain data. The initialisers below are the defaults, and the same as
// config/dev.yaml (a test compares them).
//
// A value: main() loads it, hands each room a plain options struct made from it, and keeps it to
// compare with on a reload. What each setting means, its bounds and whether a reload changes it is
// in the table (setting_table*.cpp); a setting is one member here and one row there.
#pragma once

#include "base/log.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

using std::chrono::milliseconds;

enum class FlashAttention { automatic, on, off };
enum class KvType { f16, q8_0, q4_0 };

std::string_view to_string(FlashAttention value);  // "auto", "on", "off"
std::string_view to_string(KvType value);          // "f16", "q8_0", "q4_0"

// A size of memory: a number of bytes, or a share of this machine's memory when `fraction` > 0.
struct MemorySize {
  std::uint64_t bytes = 0;
  double fraction = 0;

  std::uint64_t resolve(std::uint64_t memory_total) const {
    return fraction > 0 ? static_cast<std::uint64_t>(static_cast<double>(memory_total) * fraction)
                        : bytes;
  }
  bool operator==(const MemorySize&) const = default;
};

// A text that no message, log or printed configuration may show.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

struct Configuration {
  struct Server {
    std::string host = "127.0.0.1";
    std::uint32_t port = 8080;     // 0: the system chooses
    std::uint32_t io_threads = 0;  // 0: one per core
    milliseconds drain_timeout{30'000};
    bool operator==(const Server&) const = default;
  } server;

  struct Metrics {
    bool enabled = true;
    std::string host = "127.0.0.1";
    std::uint32_t port = 8081;  // 0: the system chooses
    bool operator==(const Metrics&) const = default;
  } metrics;

  struct Http {
    std::uint64_t head_max = 16u << 10;
    std::uint64_t body_max = 16u << 20;
    milliseconds head_timeout{10'000};
    milliseconds body_timeout{30'000};
    milliseconds idle_timeout{75'000};
    milliseconds write_timeout{30'000};
    milliseconds keep_alive_comment{10'000};  // pause after which a silent stream sends a comment
    std::uint32_t connections_max = 10'000;
    std::uint32_t fields_max = 100;
    bool operator==(const Http&) const = default;
  } http;

  struct Tls {
    std::string certificate;  // PEM file; empty: plain HTTP. Both files or neither
    std::string key;
    Secret key_password;
    bool enabled() const { return !certificate.empty(); }
    bool operator==(const Tls&) const = default;
  } tls;

  struct Log {
    base::LogFormat format = base::LogFormat::text;
    base::LogLevel level = base::LogLevel::info;
    bool operator==(const Log&) const = default;
  } log;

  struct Model {
    std::string name;
    std::string path;               // as written; resolve_model_path() finds the file
    std::string directory;          // of the file that named `path`; not a setting
    bool preload = true;            // load at start; else with the first request
    bool embeddings = false;        // POST /v1/embeddings may use it
    std::uint32_t context_max = 0;  // tokens of prompt and answer; 0: what the model was made for
    bool operator==(const Model&) const = default;
  };
  std::vector<Model> models{default_model_entry()};  // never empty after loading
  std::string default_model = "smollm2-135m-instruct";
  std::map<std::string, std::string> aliases = default_aliases("smollm2-135m-instruct");

  struct Engine {
    std::string program;                // empty: deepseek-engine beside this program
    std::uint32_t threads = 0;          // decode; 0: physical cores
    std::uint32_t threads_prefill = 0;  // 0: as `threads`
    std::uint32_t sequences_max = 16;
    std::uint32_t priority_queue_size = 256;
    milliseconds queue_timeout{60'000};
    std::uint32_t prefill_chunk = 256;  // tokens; network.batch_size is another name of it
    FlashAttention flash_attention = FlashAttention::automatic;
    KvType kv_type = KvType::f16;
    std::uint32_t stream_credits = 64;
    std::uint32_t warmup_requests = 1;
    milliseconds restart_backoff_max{10'000};
    milliseconds wedge_timeout{30'000};
    milliseconds shutdown_timeout{5'000};
    bool operator==(const Engine&) const = default;
  } engine;

  struct Memory {
    MemorySize max_cache_size{512u << 20, 0};  // of one engine's KV pool
    bool operator==(const Memory&) const = default;
  } memory;

  struct Network {
    milliseconds rpc_timeout{600'000};  // deadline of a whole request
    bool operator==(const Network&) const = default;
  } network;

  // Bounds of what one request may ask for.
  struct Limits {
    std::uint32_t tokens_max = 131'072;
    std::uint32_t choices_max = 16;
    std::uint32_t stop_max = 16;
    std::uint32_t prompts_max = 64;
    std::uint32_t logprobs_max = 20;
    std::uint32_t messages_max = 2048;
    std::uint32_t json_depth_max = 32;
    std::uint32_t embedding_inputs_max = 2048;
    bool operator==(const Limits&) const = default;
  } limits;

  bool operator==(const Configuration&) const = default;

  static Model default_model_entry();
  // The names that tutorials use, all pointing to `model`.
  static std::map<std::string, std::string> default_aliases(const std::string& model);
};

}  // namespace deepseek::server
