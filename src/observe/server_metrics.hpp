// The product's metric families in one place: their names are a promise (docs/metrics.md).
//
// Owned by main(), lives as long as the registry. Every call may come from any thread and takes no
// lock but a shared one. No label ever carries what a client sent: endpoints come from our table,
// models from the configuration, codes from the table of errors.
#pragma once

#include "observe/cell_map.hpp"
#include "observe/metrics.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::observe {

class ServerMetrics {
 public:
  explicit ServerMetrics(Registry& registry);

  // deepseek_build_info{version, llama_cpp} 1
  void set_build(std::string_view version, std::string_view llama_cpp);

  // One answered request: counts and durations. `endpoint` is a path of the endpoint table, or
  // "other".
  void http_request(std::string_view endpoint, int status, double seconds);
  void set_http_connections(double open);
  void error(std::string_view code);  // `error.code` of the body

  // One answer of a model, as far as it came.
  struct Answer {
    std::int64_t prompt_tokens = 0;
    std::int64_t cached_tokens = 0;  // a part of prompt_tokens
    std::int64_t completion_tokens = 0;
    std::optional<double> first_token_seconds{};
    std::optional<double> per_token_seconds{};
    std::optional<double> queue_seconds{};  // in the engine's queue
  };
  void answer(std::string_view model, std::string_view tenant, const Answer& answer);

  // What the response cache did for one request: hit, similar, shared, miss or none.
  void response_cache_request(std::string_view result);
  // The response cache's totals since the start, and what it holds; set at every scrape.
  struct ResponseCache {
    std::uint64_t stored = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
    std::uint64_t refused = 0;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
  };
  void set_response_cache(const ResponseCache& cache);

  // The responses that are kept for their clients, and totals since the start; set at every scrape.
  struct KeptResponses {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::uint64_t stored = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
    std::uint64_t refused = 0;
    std::uint64_t failures = 0;
  };
  void set_kept_responses(const KeptResponses& responses);

  // State of one model's engine; set at every scrape.
  struct Engine {
    bool ready = false;
    bool degraded = false;  // it runs without its GPU
    std::uint64_t restarts = 0;
    double running_sequences = 0;
    double waiting_requests = 0;
    double kv_cells_used = 0;     // by answers that run
    double kv_cells_resting = 0;  // kept for prompts to come
    double kv_cells_total = 0;
    double memory_fragmentation = 0;  // of the cells that attention looks at, those unused
    double step_seconds = 0;
    std::uint64_t state_bytes = 0;  // of prefixes in memory whose cells were given up
    std::uint64_t disk_bytes = 0;   // of prefixes on disk
    std::uint32_t pid = 0;          // 0: no process
    // Since that process began.
    std::uint64_t prefill_tokens = 0;
    std::uint64_t decode_tokens = 0;
    std::uint64_t cached_tokens = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t drafted_tokens = 0;   // guesses that were computed
    std::uint64_t accepted_tokens = 0;  // of those, right ones
    std::uint64_t states_put_back = 0;
    std::uint64_t disk_reads = 0;
    // Steps by how many sequences they had: 1, 2, up to 4, 8, 16, 32, 64, 128, 256.
    std::vector<std::uint64_t> batch_sizes{};
    std::uint64_t evicted_cells = 0;
  };
  void set_engine(std::string_view model, const Engine& engine);

  // State of one backend of a route; set at every scrape.
  struct Backend {
    bool usable = false;
    bool breaker_open = false;  // or half-open
    std::uint64_t restarts = 0;
    double in_flight = 0;
    double first_token_seconds = 0;  // moving average; 0: unknown
  };
  void set_backend(std::string_view backend, const Backend& state);
  void set_queued(std::string_view route, double requests);  // at every scrape

  // Memory and processor time of this process; set at every scrape by the registry itself.
  void set_process();

 private:
  struct RequestCells {
    Counter& requests;
    Histogram& durations;
  };
  struct AnswerCells {
    Counter& prompt;
    Counter& cached;
    Counter& completion;
    Histogram& first_token;
    Histogram& per_token;
    Histogram& queue;
    Histogram& cached_share;
  };
  struct TenantCells {
    Counter& prompt;
    Counter& cached;
    Counter& completion;
  };
  // What a counter has gained since the engine told `name` last; it counts from its start.
  double gained(std::string_view model, std::string name, std::uint64_t told);
  void set_batch_sizes(std::string_view model, std::span<const std::uint64_t> steps);
  Registry& registry_;
  CellMap<RequestCells> request_cells_;  // by endpoint and status
  CellMap<AnswerCells> answer_cells_;    // by model
  CellMap<TenantCells> tenant_cells_;
  // By model and counter: what the engine told last. Only scrapes use it, one at a time.
  std::map<std::pair<std::string, std::string>, std::uint64_t> engine_totals_;
};

// docs/metrics.md, made from the table of families.
std::string metrics_document();

}  // namespace deepseek::observe
