// The product's metric families in one place: their names are a promise (docs/metrics.md).
//
// Owned by main(), lives as long as the registry. Every call may come from any thread and takes no
// lock but a shared one. No label ever carries what a client sent: endpoints come from our table,
// models from the configuration, codes from the table of errors.
#pragma once

#include "observe/metrics.hpp"

#include <cstdint>
#include <string>
#include <string_view>

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

  // Tokens of one finished answer; `cached` is a part of `prompt`.
  void tokens(std::string_view model, std::int64_t prompt, std::int64_t cached,
              std::int64_t completion);
  void time_to_first_token(std::string_view model, double seconds);
  void time_per_output_token(std::string_view model, double seconds);

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

  // State of one model's engine; set at every scrape.
  struct Engine {
    bool ready = false;
    std::uint64_t restarts = 0;
    double running_sequences = 0;
    double waiting_requests = 0;
    double kv_cells_used = 0;
    double kv_cells_total = 0;
    double step_seconds = 0;
    std::uint32_t pid = 0;  // 0: no process
  };
  void set_engine(std::string_view model, const Engine& engine);

  // Memory and processor time of this process; set at every scrape by the registry itself.
  void set_process();

 private:
  Registry& registry_;
};

// docs/metrics.md, made from the table of families.
std::string metrics_document();

}  // namespace deepseek::observe
