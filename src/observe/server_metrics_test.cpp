#include "observe/server_metrics.hpp"

#include "observe/process_figures.hpp"

#include <gtest/gtest.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace deepseek::observe {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// UPDATE_GOLDEN=1 writes the page anew.
TEST(ServerMetrics, DocumentIsUpToDate) {
  const std::filesystem::path path = std::filesystem::path(DEEPSEEK_SOURCE_DIR) / "docs/metrics.md";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << metrics_document();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, metrics_document()) << "run observe_test with UPDATE_GOLDEN=1";
}

TEST(ServerMetrics, EveryFamilyIsShownAndDocumented) {
  Registry registry;
  const ServerMetrics metrics(registry);
  const std::string text = registry.prometheus_text();
  const std::string document = metrics_document();
  std::size_t families = 0;
  constexpr std::string_view mark = "# TYPE ";
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const std::size_t begin = at + mark.size();
    const std::string name = text.substr(begin, text.find(' ', begin) - begin);
    EXPECT_TRUE(contains(document, "| `" + name + "` |")) << name;
    ++families;
  }
  EXPECT_EQ(families, 47u);
}

TEST(ServerMetrics, NumbersArriveUnderTheirNames) {
  Registry registry;
  ServerMetrics metrics(registry);
  metrics.set_build("0.1.0", "b1");
  metrics.http_request("/v1/models", 200, 0.015);
  metrics.error("queue_full");
  metrics.answer("m", "acme", {12, 4, 7, 0.3, 0.02, 0.2});
  ServerMetrics::Engine engine;
  engine.ready = true;
  engine.restarts = 3;
  engine.running_sequences = 2;
  engine.preemptions = 5;
  engine.drafted_tokens = 9;
  engine.accepted_tokens = 6;
  engine.batch_sizes = {3, 0, 2};
  metrics.set_engine("m", engine);
  metrics.set_engine("m", engine);
  engine.preemptions = 2;  // of a new process
  metrics.set_engine("m", engine);
  metrics.response_cache_request("hit");
  ServerMetrics::ResponseCache cache;
  cache.stored = 5;
  cache.bytes = 640;
  metrics.set_response_cache(cache);
  cache.stored = 6;
  metrics.set_response_cache(cache);
  ServerMetrics::KeptResponses kept;
  kept.rows = 3;
  kept.stored = 4;
  metrics.set_kept_responses(kept);
  kept.failures = 1;
  metrics.set_kept_responses(kept);
  const std::string text = registry.prometheus_text();
  for (const char* line : {
           "deepseek_responses_kept 3\n",
           "deepseek_responses_total{event=\"stored\"} 4\n",
           "deepseek_responses_total{event=\"failed\"} 1\n",
           "deepseek_response_cache_requests_total{result=\"hit\"} 1\n",
           "deepseek_response_cache_stored_total 6\n",
           "deepseek_response_cache_bytes 640\n",
           "deepseek_tenant_tokens_total{tenant=\"acme\",kind=\"cached\"} 4\n",
           "deepseek_queue_seconds_sum{model=\"m\"} 0.2\n",
           "deepseek_cached_share_bucket{model=\"m\",le=\"0.25\"} 0\n",
           "deepseek_cached_share_bucket{model=\"m\",le=\"0.5\"} 1\n",
           "deepseek_engine_draft_tokens_total{model=\"m\",result=\"wrong\"} 3\n",
           "deepseek_engine_batch_size_bucket{model=\"m\",le=\"2\"} 3\n",
           "deepseek_engine_batch_size_count{model=\"m\"} 5\n",
           "deepseek_build_info{version=\"0.1.0\",llama_cpp=\"b1\"} 1\n",
           "deepseek_http_requests_total{endpoint=\"/v1/models\",status=\"200\"} 1\n",
           "deepseek_http_request_duration_seconds_bucket{endpoint=\"/v1/models\",le=\"0.02\"} 1\n",
           "deepseek_errors_total{code=\"queue_full\"} 1\n",
           "deepseek_prompt_tokens_total{model=\"m\"} 12\n",
           "deepseek_cached_tokens_total{model=\"m\"} 4\n",
           "deepseek_completion_tokens_total{model=\"m\"} 7\n",
           "deepseek_time_to_first_token_seconds_count{model=\"m\"} 1\n",
           "deepseek_time_per_output_token_seconds_sum{model=\"m\"} 0.02\n",
           "deepseek_engine_ready{model=\"m\"} 1\n",
           "deepseek_engine_preemptions_total{model=\"m\"} 7\n",
           "deepseek_engine_restarts_total{model=\"m\"} 3\n",
           "deepseek_running_sequences{model=\"m\"} 2\n",
           "process_resident_memory_bytes{process=\"engine m\"} 0\n",
       }) {
    EXPECT_TRUE(contains(text, line)) << line << text;
  }
}

TEST(ProcessFigures, OfThisProcess) {
  EXPECT_GT(resident_bytes(0), 1u << 20);
  EXPECT_GE(cpu_seconds(0), 0);
  EXPECT_GE(open_descriptors(), 3u);
  EXPECT_EQ(resident_bytes(0x7fffffff), 0u);
}

}  // namespace
}  // namespace deepseek::observe
