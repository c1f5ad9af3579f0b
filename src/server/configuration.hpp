// The whole configuration as plain data. The initialisers below are the defaults, and the same as
// config/dev.yaml (a test compares them).
//
// A value: main() loads it, hands each room a plain options struct made from it, and keeps it to
// compare with on a reload. What each setting means, its bounds and whether a reload changes it is
// in the table (setting_table*.cpp); a setting is one member here and one row there.
#pragma once

#include "base/log.hpp"
#include "gateway/balance/strategy.hpp"
#include "gateway/managed/managed_engine.hpp"
#include "protocol/continuation_kind.hpp"

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
enum class Layout { automatic, as_is };
enum class KvType { f16, q8_0, q4_0 };
enum class PrefixSharing { none, user, tenant, all };
enum class Speculation { none, prompt_lookup };

enum class BackendType { openai, deepseek, azure, managed, grpc };
using gateway::ManagedEngine;
using protocol::Continuation;
using Strategy = gateway::StrategyKind;
enum class RouteFeature { image, tools, schema, stream, thinking };
enum class CacheStoreKind { memory, sqlite };

// The words of the configuration: "auto", "q8_0", "weighted_round_robin" …
std::string_view to_string(FlashAttention value);
std::string_view to_string(Layout value);
std::string_view to_string(KvType value);
std::string_view to_string(PrefixSharing value);
std::string_view to_string(BackendType value);
std::string_view to_string(ManagedEngine value);
std::string_view to_string(Continuation value);
std::string_view to_string(RouteFeature value);
std::string_view to_string(CacheStoreKind value);

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

// What a route calls the engine of the default model.
inline constexpr std::string_view local_target = "local";

struct Configuration {
  std::string data_dir;  // empty: ${XDG_STATE_HOME:-~/.local/state}/deepseek-server

  struct Server {
    std::string host = "127.0.0.1";
    std::uint32_t port = 8080;     // 0: the system chooses
    std::uint32_t io_threads = 0;  // 0: one per core
    milliseconds drain_timeout{30'000};
    std::string zone;  // where this server runs; empty: no backend is nearer than another
    bool operator==(const Server&) const = default;
  } server;

  struct Metrics {
    bool enabled = true;
    std::string host = "127.0.0.1";
    std::uint32_t port = 8081;  // 0: the system chooses
    bool operator==(const Metrics&) const = default;
  } metrics;

  // The same API over gRPC. Bodies, metadata and times are bounded as those of `http`.
  struct Grpc {
    bool enabled = false;
    std::string host = "127.0.0.1";
    std::uint32_t port = 9090;  // 0: the system chooses
    std::uint32_t calls_max = 10'000;
    std::uint32_t streams_max = 100;  // of one connection
    bool reflection = true;
    bool operator==(const Grpc&) const = default;
  } grpc;

  struct Http {
    std::uint64_t head_max = 16u << 10;
    std::uint64_t body_max = 16u << 20;
    milliseconds head_timeout{10'000};
    milliseconds body_timeout{30'000};
    milliseconds idle_timeout{75'000};
    milliseconds write_timeout{30'000};
    milliseconds keep_alive_comment{10'000};  // pause after which a silent stream sends a comment
    milliseconds keep_alive_line{30'000};     // and a whole answer an empty line
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
    std::string draft_path;         // smaller model that guesses; empty: none
    std::map<std::string, std::string> adapters;  // name → LoRA file, found as `path` is
    bool operator==(const Model&) const = default;
  };
  std::vector<Model> models{default_model_entry()};  // after loading only empty if `routes` is not
  std::string default_model = "smollm2-135m-instruct";  // may be empty if `models` is
  std::map<std::string, std::string> aliases = default_aliases("smollm2-135m-instruct");

  struct Engine {
    std::string program;                // empty: deepseek-engine beside this program
    std::uint32_t threads = 0;          // decode; 0: physical cores
    std::uint32_t threads_prefill = 0;  // 0: as `threads`
    std::uint32_t sequences_max = 16;
    std::uint32_t priority_queue_size = 256;
    milliseconds queue_timeout{60'000};
    std::uint32_t prefill_chunk = 512;  // tokens; network.batch_size is another name of it
    milliseconds target_token_gap{100};
    bool dynamic_batching = true;
    std::uint32_t min_batch_size = 1;
    milliseconds batch_wait{10};
    PrefixSharing prefix_sharing = PrefixSharing::user;
    MemorySize cache_memory{1ULL << 30, 0};
    std::string cache_dir;  // empty: prefixes are not stored
    MemorySize cache_dir_size{4ULL << 30, 0};
    Speculation speculation = Speculation::prompt_lookup;
    std::uint32_t draft_max = 8;  // tokens
    FlashAttention flash_attention = FlashAttention::automatic;
    Layout layout = Layout::automatic;
    double layout_loss_max = 0.5;  // percent of perplexity
    KvType kv_type = KvType::f16;
    MemorySize grammar_cache{256u << 20, 0};  // of compiled constraints
    milliseconds grammar_timeout{2'000};      // of one compilation
    std::uint32_t attention_window = 0;       // tokens; 0: all are kept
    std::uint32_t attention_sinks = 4;        // tokens
    std::uint32_t stream_credits = 64;
    std::uint32_t warmup_requests = 1;
    milliseconds restart_backoff_max{10'000};
    milliseconds silence_timeout{2'000};
    milliseconds wedge_timeout{30'000};
    milliseconds shutdown_timeout{5'000};
    bool operator==(const Engine&) const = default;
  } engine;

  struct Memory {
    MemorySize max_cache_size{512u << 20, 0};  // of one engine's KV pool
    MemorySize max_models_size{0, 0.9};        // of all engines together
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
    std::uint64_t data_bytes_max = 1u << 20;
    std::uint32_t data_rows_max = 10'000;
    bool operator==(const Limits&) const = default;
  } limits;

  // Another server that answers, or one that we start.
  struct Backend {
    std::string name;
    BackendType type = BackendType::openai;
    std::string base_url;  // empty only for `managed`
    Secret api_key;
    std::vector<std::string> models;                     // it serves; empty: any
    std::map<std::string, std::string> upstream_models;  // our name → its name
    Continuation continuation = Continuation::none;      // loading gives deepseek its `prefix`
    std::string token_limit_field;  // empty: as the client; loading gives deepseek `max_tokens`
    std::uint32_t weight = 1;
    std::string zone;
    std::uint32_t in_flight_max = 1000;
    double price_input = 0;  // per million tokens, as the two below
    double price_input_cached = 0;
    double price_output = 0;
    std::string price_currency = "CNY";
    std::string off_peak;          // hours, when the prices are multiplied by
    double off_peak_factor = 0.5;  // … this
    milliseconds connect_timeout{5'000};
    milliseconds first_token_timeout{60'000};
    milliseconds gap_timeout{60'000};
    std::string health_path;  // empty: no active checks; loading gives managed its `/health`
    milliseconds health_interval{10'000};
    std::uint32_t pool_idle_max = 256;      // connections of each I/O thread
    std::vector<std::string> allow_fields;  // of a request, beside the known ones
    std::string api_version;                // azure
    std::string trust_file;                 // PEM; empty: the system's certificates
    // The rest is of `managed` alone.
    ManagedEngine engine = ManagedEngine::none;
    std::string model;                 // that the engine loads
    std::vector<std::string> command;  // program and arguments
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;
    std::uint32_t port = 0;  // 0: a free one
    milliseconds start_timeout{600'000};
    std::uint32_t tensor_parallel = 1;
    std::uint32_t pipeline_parallel = 1;
    std::uint32_t expert_parallel = 1;
    std::uint32_t data_parallel = 1;
    bool operator==(const Backend&) const = default;
  };
  std::vector<Backend> backends;

  // Which backends answer which requests; the first that matches is taken.
  struct Route {
    std::string model = "*";
    std::map<std::string, std::string> headers;
    std::string tenant;
    std::vector<RouteFeature> features;  // all must be present
    std::uint32_t prompt_tokens_min = 0;
    std::uint32_t prompt_tokens_max = 0;  // 0: no bound
    std::string language;
    std::string hours;                  // empty: always
    std::vector<std::string> backends;  // names of backends, of models, or "local"
    std::map<std::string, std::uint32_t> split;
    Strategy strategy = Strategy::priority;
    std::string shadow;
    std::uint32_t shadow_percent = 100;
    milliseconds first_token_goal{0};  // 0: none
    bool hedge = false;
    bool cache = true;
    bool operator==(const Route&) const = default;
  };
  std::vector<Route> routes;  // empty: every model answers for its own name

  struct Retry {
    std::uint32_t attempts_max = 5;
    milliseconds backoff_min{50};
    milliseconds backoff_max{30'000};
    double backoff_factor = 1.5;
    double jitter = 0.2;
    std::uint32_t budget_percent = 20;
    std::uint32_t budget_min = 10;  // retries per second that are always allowed
    milliseconds retry_after_max{30'000};
    std::uint32_t hedge_budget_percent = 5;
    std::uint32_t continuations_max = 3;
    std::uint64_t continuation_bytes_max = 1u << 20;
    bool operator==(const Retry&) const = default;
  } retry;

  struct Breaker {
    std::uint32_t failures_max = 10;
    milliseconds window{120'000};
    milliseconds open_time{60'000};
    std::uint32_t successes_min = 3;
    double outlier_factor = 3;
    std::uint32_t outlier_ejected_max_percent = 50;
    milliseconds outlier_interval{10'000};
    std::uint32_t health_failures = 3;
    std::uint32_t health_successes = 2;
    bool operator==(const Breaker&) const = default;
  } breaker;

  struct Queue {
    std::uint32_t depth_max = 1024;
    milliseconds timeout{30'000};
    bool operator==(const Queue&) const = default;
  } queue;

  struct AccessKey {
    Secret key;
    std::string tenant;
    std::uint32_t weight = 1;
    std::uint32_t priority_max = 0;
    std::string balance;
    bool operator==(const AccessKey&) const = default;
  };
  struct Access {
    std::vector<AccessKey> keys;  // empty: nobody needs one
    bool operator==(const Access&) const = default;
  } access;

  struct Cache {
    bool enabled = false;
    milliseconds ttl{300'000};
    std::uint32_t entries_max = 10'000;
    std::uint64_t memory_max = 64u << 20;
    std::uint64_t entry_bytes_max = 1u << 20;
    CacheStoreKind store = CacheStoreKind::memory;
    std::uint64_t file_max = 1u << 30;
    bool semantic = false;
    std::string semantic_model;  // whose embeddings are compared
    double semantic_threshold = 0.95;
    std::vector<std::string> semantic_tenants;
    bool operator==(const Cache&) const = default;
  } cache;

  struct Responses {
    bool enabled = true;
    milliseconds keep{30LL * 24 * 3'600'000};
    std::uint64_t response_bytes_max = 4u << 20;
    std::uint64_t tenant_bytes_max = 256u << 20;
    std::uint32_t tenant_rows_max = 10'000;
    bool operator==(const Responses&) const = default;
  } responses;

  struct Ledger {
    bool enabled = true;
    milliseconds flush_ms{200};
    std::uint32_t queue_max = 100'000;
    bool operator==(const Ledger&) const = default;
  } ledger;

  bool operator==(const Configuration&) const = default;

  static Model default_model_entry();
  // The names that tutorials use, all pointing to `model`.
  static std::map<std::string, std::string> default_aliases(const std::string& model);
};

}  // namespace deepseek::server
