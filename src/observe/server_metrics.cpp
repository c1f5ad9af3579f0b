#include "observe/server_metrics.hpp"

#include "observe/process_figures.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <string>

namespace deepseek::observe {

namespace {

// Durations of whole requests: those of the GenAI conventions.
constexpr std::array request_bounds{.01,  .02,  .04,  .08,   .16,   .32,   .64,
                                    1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
constexpr std::array first_token_bounds{.001, .005, .01, .02, .04, .06, .08, .1,
                                        .25,  .5,   .75, 1.,  2.5, 5.,  7.5, 10.};
constexpr std::array per_token_bounds{.001, .0025, .005, .01, .025, .05, .075, .1,
                                      .15,  .2,    .3,   .4,  .5,   .75, 1.,   2.5};

constexpr std::array batch_size_bounds{1., 2., 4., 8., 16., 32., 64., 128., 256.};
constexpr std::array share_bounds{0., .1, .25, .5, .75, .9, .99};

struct Row {
  Family family;
  MetricType type;
  std::span<const double> bounds;
};

// Every family, by name. The names are a promise: add, never rename.
const std::array rows{
    Row{{"deepseek_backend_breaker_open",
         "1 while the backend is switched off after failures, or is being tried again.",
         {"backend"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_backend_first_token_seconds",
         "Moving average of the backend's time to first token; 0 before the first.",
         {"backend"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_backend_in_flight", "Requests that the backend works on.", {"backend"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_backend_restarts_total",
         "How often a managed backend's program was started again.",
         {"backend"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_backend_usable", "1 when the backend may be asked, else 0.", {"backend"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_build_info", "Versions of this build; always 1.", {"version", "llama_cpp"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_cached_tokens_total",
         "Prompt tokens that needed no prefill, because an earlier request had them.",
         {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_cached_share",
         "Part of an answer's prompt tokens that needed no prefill, 0 to 1.",
         {"model"}},
        MetricType::histogram,
        share_bounds},
    Row{{"deepseek_completion_tokens_total", "Tokens generated for clients.", {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_batch_size",
         "Sequences in a step of the engine; sizes are rounded up to the next bound.",
         {"model"}},
        MetricType::histogram,
        batch_size_bounds},
    Row{{"deepseek_engine_degraded",
         "1 while the model runs on the processor because its GPU failed, else 0.",
         {"model"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_engine_draft_tokens_total",
         "Guessed tokens that were computed, by whether they were right.",
         {"model", "result"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_evicted_cells_total",
         "Tokens that were kept for prompts to come and gave way to others.",
         {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_preemptions_total",
         "Answers that gave up their place in the batch for others, and went on later.",
         {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_prefix_bytes",
         "Prefixes that are kept outside the KV pool: in memory, on disk.",
         {"model", "place"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_engine_prefix_reads_total",
         "Prefixes that came back: from memory into the KV pool, from disk into memory.",
         {"model", "place"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_ready", "1 when the model's engine takes requests, else 0.", {"model"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_engine_restarts_total",
         "How often the model's engine was started again.",
         {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_engine_step_seconds", "Duration of the engine's last step.", {"model"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_engine_tokens_total",
         "Tokens of the engine: prefill computed of prompts, cached found of them, decode made.",
         {"model", "kind"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_errors_total", "Error answers, by error.code.", {"code"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_http_connections", "Open connections of clients.", {}}, MetricType::gauge, {}},
    Row{{"deepseek_http_request_duration_seconds",
         "From a request's head to the end of its answer.",
         {"endpoint"}},
        MetricType::histogram,
        request_bounds},
    Row{{"deepseek_http_requests_total", "Answered requests.", {"endpoint", "status"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_kv_cells",
         "Tokens in the engine's KV pool: used by answers that run, resting for prompts to "
         "come, and total room.",
         {"model", "state"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_memory_fragmentation",
         "Of the KV cells that the engine's attention looks at, the share that nothing uses (0 "
         "to 1).",
         {"model"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_prompt_tokens_total", "Prompt tokens of answered requests.", {"model"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_queue_seconds",
         "How long a request waited in the engine's queue for its place in the batch.",
         {"model"}},
        MetricType::histogram,
        first_token_bounds},
    Row{{"deepseek_queued_requests",
         "Requests that wait because all backends of their route are busy.",
         {"route"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_response_cache_bytes", "Memory that kept answers take.", {}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_response_cache_entries", "Answers kept in memory.", {}}, MetricType::gauge, {}},
    Row{{"deepseek_response_cache_evicted_total", "Kept answers thrown out for want of room.", {}},
        MetricType::counter,
        {}},
    Row{{"deepseek_response_cache_expired_total",
         "Kept answers thrown out because they were too old.",
         {}},
        MetricType::counter,
        {}},
    Row{{"deepseek_response_cache_refused_total",
         "Answers not kept: too large, or too many on their way to the file.",
         {}},
        MetricType::counter,
        {}},
    Row{{"deepseek_response_cache_requests_total",
         "Requests by what the response cache did: hit, similar (a question that means the same), "
         "shared (the same request ran already), miss or none.",
         {"result"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_response_cache_stored_total", "Answers that were kept.", {}},
        MetricType::counter,
        {}},
    Row{{"deepseek_responses_kept", "Responses that clients can go on from.", {}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_responses_kept_bytes", "Bytes that they take in their file.", {}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_responses_total",
         "Responses by what became of them: stored, evicted (for want of room), expired, refused "
         "(over a limit, or too many on their way to the file) or failed (calls of the file that "
         "failed).",
         {"event"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_running_sequences", "Sequences in the engine's batch.", {"model"}},
        MetricType::gauge,
        {}},
    Row{{"deepseek_tenant_tokens_total",
         "Tokens of a tenant's answers: prompt, of those cached, and completion.",
         {"tenant", "kind"}},
        MetricType::counter,
        {}},
    Row{{"deepseek_time_per_output_token_seconds",
         "Mean time between two tokens of one answer, after its first.",
         {"model"}},
        MetricType::histogram,
        per_token_bounds},
    Row{{"deepseek_time_to_first_token_seconds",
         "From a request's head to the first token of its answer.",
         {"model"}},
        MetricType::histogram,
        first_token_bounds},
    Row{{"deepseek_waiting_requests", "Requests in the engine's queue.", {"model"}},
        MetricType::gauge,
        {}},
    Row{{"process_cpu_seconds_total", "Processor time used, user and system.", {"process"}},
        MetricType::counter,
        {}},
    Row{{"process_open_fds", "Open descriptors of the server.", {}}, MetricType::gauge, {}},
    Row{{"process_resident_memory_bytes", "Memory held.", {"process"}}, MetricType::gauge, {}},
};

const Row& row(std::string_view name) {
  for (const Row& candidate : rows) {
    if (candidate.family.name == name) return candidate;
  }
  throw std::logic_error("no metric " + std::string(name));
}

// The rows that are used for every request, found once.
const Row& completion_tokens = row("deepseek_completion_tokens_total");
const Row& cached_tokens = row("deepseek_cached_tokens_total");
const Row& prompt_tokens = row("deepseek_prompt_tokens_total");
const Row& errors = row("deepseek_errors_total");
const Row& http_requests = row("deepseek_http_requests_total");
const Row& http_durations = row("deepseek_http_request_duration_seconds");
const Row& first_token = row("deepseek_time_to_first_token_seconds");
const Row& cache_requests = row("deepseek_response_cache_requests_total");
const Row& per_token = row("deepseek_time_per_output_token_seconds");
const Row& queue_time = row("deepseek_queue_seconds");
const Row& cached_share = row("deepseek_cached_share");
const Row& tenant_tokens = row("deepseek_tenant_tokens_total");

using Values = std::initializer_list<std::string_view>;

Counter& counter(Registry& registry, const Row& of, Values values) {
  return registry.counter(of.family, std::span(values.begin(), values.size()));
}

void set_gauge(Registry& registry, std::string_view name, Values values, double value) {
  registry.gauge(row(name).family, std::span(values.begin(), values.size())).set(value);
}

// Brings a counter up to a total that is counted elsewhere. Scrapes are one at a time.
void raise_counter(Registry& registry, std::string_view name, Values values, double total) {
  Counter& cell = counter(registry, row(name), values);
  cell.add(std::max(0.0, total - cell.value()));
}

Histogram& histogram(Registry& registry, const Row& of, std::string_view label) {
  return registry.histogram(of.family, of.bounds, std::span(&label, 1));
}

struct Question {
  std::string_view what;
  std::string_view query;
};

constexpr Question questions[] = {
    {"requests per second", "sum(rate(deepseek_http_requests_total[1m]))"},
    {"share of failed requests",
     "sum(rate(deepseek_http_requests_total{status=~\"5..\"}[5m])) / "
     "sum(rate(deepseek_http_requests_total[5m]))"},
    {"p99 of a whole request (`rpc_latency_p99`)",
     "histogram_quantile(0.99, sum by (le) "
     "(rate(deepseek_http_request_duration_seconds_bucket[5m])))"},
    {"p95 of the time to first token",
     "histogram_quantile(0.95, sum by (le, model) "
     "(rate(deepseek_time_to_first_token_seconds_bucket[5m])))"},
    {"p95 of the time per token",
     "histogram_quantile(0.95, sum by (le, model) "
     "(rate(deepseek_time_per_output_token_seconds_bucket[5m])))"},
    {"tokens per second (`tokens_per_second`)",
     "sum by (model) (rate(deepseek_completion_tokens_total[1m]))"},
    {"share of prompt tokens from the cache",
     "rate(deepseek_cached_tokens_total[5m]) / "
     "rate(deepseek_prompt_tokens_total[5m])"},
    {"requests per second by what the response cache did",
     "sum by (result) (rate(deepseek_response_cache_requests_total[5m]))"},
    {"queue depth (`queue_depth`)", "sum by (model) (deepseek_waiting_requests)"},
    {"share of the KV pool in use",
     "deepseek_kv_cells{state=\"used\"} / ignoring(state) "
     "deepseek_kv_cells{state=\"total\"}"},
    {"models that fell back from their GPU", "deepseek_engine_degraded > 0"},
    {"share of guessed tokens that were right",
     "sum by (model) (rate(deepseek_engine_draft_tokens_total{result=\"right\"}[5m])) / "
     "sum by (model) (rate(deepseek_engine_draft_tokens_total[5m]))"},
    {"tokens per second of each tenant",
     "sum by (tenant) (rate(deepseek_tenant_tokens_total{kind=\"completion\"}[5m]))"},
    {"engines that crashed in the last hour", "increase(deepseek_engine_restarts_total[1h]) > 0"},
};

}  // namespace

ServerMetrics::ServerMetrics(Registry& registry) : registry_(registry) {
  for (const Row& each : rows) {
    switch (each.type) {
      case MetricType::counter:
        registry.declare_counter(each.family);
        break;
      case MetricType::gauge:
        registry.declare_gauge(each.family);
        break;
      case MetricType::histogram:
        registry.declare_histogram(each.family, each.bounds);
        break;
    }
  }
  registry.on_scrape([this] { set_process(); });
}

void ServerMetrics::set_build(std::string_view version, std::string_view llama_cpp) {
  set_gauge(registry_, "deepseek_build_info", {version, llama_cpp}, 1);
}

void ServerMetrics::http_request(std::string_view endpoint, int status, double seconds) {
  const RequestCells cells =
      request_cells_.find({endpoint, status}, [this](const auto& name) -> RequestCells {
        const std::string code = std::to_string(name.number);
        return {counter(registry_, http_requests, {name.text, code}),
                histogram(registry_, http_durations, name.text)};
      });
  cells.requests.add();
  cells.durations.observe(seconds);
}

void ServerMetrics::set_http_connections(double open) {
  set_gauge(registry_, "deepseek_http_connections", {}, open);
}

void ServerMetrics::set_backend(std::string_view backend, const Backend& state) {
  set_gauge(registry_, "deepseek_backend_usable", {backend}, state.usable ? 1 : 0);
  set_gauge(registry_, "deepseek_backend_breaker_open", {backend}, state.breaker_open ? 1 : 0);
  set_gauge(registry_, "deepseek_backend_in_flight", {backend}, state.in_flight);
  set_gauge(registry_, "deepseek_backend_first_token_seconds", {backend},
            state.first_token_seconds);
  raise_counter(registry_, "deepseek_backend_restarts_total", {backend},
                static_cast<double>(state.restarts));
}

void ServerMetrics::set_queued(std::string_view route, double requests) {
  set_gauge(registry_, "deepseek_queued_requests", {route}, requests);
}

void ServerMetrics::error(std::string_view code) {
  counter(registry_, errors, {code}).add();
}

void ServerMetrics::answer(std::string_view model, std::string_view tenant, const Answer& answer) {
  const AnswerCells cells = answer_cells_.find({model}, [this](const auto& name) -> AnswerCells {
    return {counter(registry_, prompt_tokens, {name.text}),
            counter(registry_, cached_tokens, {name.text}),
            counter(registry_, completion_tokens, {name.text}),
            histogram(registry_, first_token, name.text),
            histogram(registry_, per_token, name.text),
            histogram(registry_, queue_time, name.text),
            histogram(registry_, cached_share, name.text)};
  });
  const TenantCells of_tenant =
      tenant_cells_.find({tenant}, [this](const auto& name) -> TenantCells {
        return {counter(registry_, tenant_tokens, {name.text, "prompt"}),
                counter(registry_, tenant_tokens, {name.text, "cached"}),
                counter(registry_, tenant_tokens, {name.text, "completion"})};
      });
  of_tenant.prompt.add(static_cast<double>(answer.prompt_tokens));
  of_tenant.cached.add(static_cast<double>(answer.cached_tokens));
  of_tenant.completion.add(static_cast<double>(answer.completion_tokens));
  cells.prompt.add(static_cast<double>(answer.prompt_tokens));
  cells.cached.add(static_cast<double>(answer.cached_tokens));
  cells.completion.add(static_cast<double>(answer.completion_tokens));
  if (answer.first_token_seconds) cells.first_token.observe(*answer.first_token_seconds);
  if (answer.per_token_seconds) cells.per_token.observe(*answer.per_token_seconds);
  if (answer.queue_seconds) cells.queue.observe(*answer.queue_seconds);
  if (answer.prompt_tokens > 0) {
    cells.cached_share.observe(static_cast<double>(answer.cached_tokens) /
                               static_cast<double>(answer.prompt_tokens));
  }
}

void ServerMetrics::response_cache_request(std::string_view result) {
  counter(registry_, cache_requests, {result}).add();
}

void ServerMetrics::set_response_cache(const ResponseCache& cache) {
  const auto raise = [this](std::string_view name, std::uint64_t total) {
    raise_counter(registry_, name, {}, static_cast<double>(total));
  };
  raise("deepseek_response_cache_stored_total", cache.stored);
  raise("deepseek_response_cache_evicted_total", cache.evicted);
  raise("deepseek_response_cache_expired_total", cache.expired);
  raise("deepseek_response_cache_refused_total", cache.refused);
  set_gauge(registry_, "deepseek_response_cache_entries", {}, static_cast<double>(cache.entries));
  set_gauge(registry_, "deepseek_response_cache_bytes", {}, static_cast<double>(cache.bytes));
}

void ServerMetrics::set_kept_responses(const KeptResponses& responses) {
  const auto raise = [this](std::string_view event, std::uint64_t total) {
    raise_counter(registry_, "deepseek_responses_total", {event}, static_cast<double>(total));
  };
  raise("stored", responses.stored);
  raise("evicted", responses.evicted);
  raise("expired", responses.expired);
  raise("refused", responses.refused);
  raise("failed", responses.failures);
  set_gauge(registry_, "deepseek_responses_kept", {}, static_cast<double>(responses.rows));
  set_gauge(registry_, "deepseek_responses_kept_bytes", {}, static_cast<double>(responses.bytes));
}

// A smaller number than before is that of a new process.
double ServerMetrics::gained(std::string_view model, std::string name, std::uint64_t told) {
  std::uint64_t& last = engine_totals_[{std::string(model), std::move(name)}];
  const std::uint64_t before = std::exchange(last, told);
  return static_cast<double>(told >= before ? told - before : told);
}

void ServerMetrics::set_batch_sizes(std::string_view model, std::span<const std::uint64_t> steps) {
  Histogram& sizes = histogram(registry_, row("deepseek_engine_batch_size"), model);
  for (std::size_t index = 0; index < std::min(steps.size(), batch_size_bounds.size()); ++index) {
    const double more = gained(model, "batch_size/" + std::to_string(index), steps[index]);
    sizes.observe(batch_size_bounds[index], static_cast<std::uint64_t>(more));
  }
}

void ServerMetrics::set_engine(std::string_view model, const Engine& engine) {
  set_gauge(registry_, "deepseek_engine_ready", {model}, engine.ready ? 1 : 0);
  set_gauge(registry_, "deepseek_engine_degraded", {model}, engine.degraded ? 1 : 0);
  set_gauge(registry_, "deepseek_running_sequences", {model}, engine.running_sequences);
  set_gauge(registry_, "deepseek_waiting_requests", {model}, engine.waiting_requests);
  set_gauge(registry_, "deepseek_kv_cells", {model, "used"}, engine.kv_cells_used);
  set_gauge(registry_, "deepseek_kv_cells", {model, "resting"}, engine.kv_cells_resting);
  set_gauge(registry_, "deepseek_kv_cells", {model, "total"}, engine.kv_cells_total);
  set_gauge(registry_, "deepseek_memory_fragmentation", {model}, engine.memory_fragmentation);
  set_gauge(registry_, "deepseek_engine_step_seconds", {model}, engine.step_seconds);
  raise_counter(registry_, "deepseek_engine_restarts_total", {model},
                static_cast<double>(engine.restarts));
  const auto add = [&](std::string_view name, Values labels, std::string_view kind,
                       std::uint64_t told) {
    counter(registry_, row(name), labels)
        .add(gained(model, std::string(name) + "/" + std::string(kind), told));
  };
  add("deepseek_engine_tokens_total", {model, "prefill"}, "prefill", engine.prefill_tokens);
  add("deepseek_engine_tokens_total", {model, "decode"}, "decode", engine.decode_tokens);
  add("deepseek_engine_tokens_total", {model, "cached"}, "cached", engine.cached_tokens);
  add("deepseek_engine_preemptions_total", {model}, "", engine.preemptions);
  add("deepseek_engine_evicted_cells_total", {model}, "", engine.evicted_cells);
  const std::string_view drafts = "deepseek_engine_draft_tokens_total";
  add(drafts, {model, "right"}, "right", engine.accepted_tokens);
  add(drafts, {model, "wrong"}, "wrong", engine.drafted_tokens - engine.accepted_tokens);
  add("deepseek_engine_prefix_reads_total", {model, "memory"}, "memory", engine.states_put_back);
  add("deepseek_engine_prefix_reads_total", {model, "disk"}, "disk", engine.disk_reads);
  set_gauge(registry_, "deepseek_engine_prefix_bytes", {model, "memory"},
            static_cast<double>(engine.state_bytes));
  set_gauge(registry_, "deepseek_engine_prefix_bytes", {model, "disk"},
            static_cast<double>(engine.disk_bytes));
  set_batch_sizes(model, engine.batch_sizes);
  const std::string process = "engine " + std::string(model);
  const bool alive = engine.pid != 0;
  set_gauge(registry_, "process_resident_memory_bytes", {process},
            alive ? static_cast<double>(resident_bytes(engine.pid)) : 0);
}

void ServerMetrics::set_process() {
  set_gauge(registry_, "process_resident_memory_bytes", {"server"},
            static_cast<double>(resident_bytes(0)));
  set_gauge(registry_, "process_open_fds", {}, static_cast<double>(open_descriptors()));
  raise_counter(registry_, "process_cpu_seconds_total", {"server"}, cpu_seconds(0));
}

std::string metrics_document() {
  std::string out =
      "# Metrics\n\n"
      "`GET /metrics` on the metrics port (`metrics.port`) answers in Prometheus' text format.\n"
      "This page is made from the table in `src/observe/server_metrics.cpp`; a test compares "
      "them.\nNames and labels are a promise: families are added, never renamed.\n\n"
      "| name | type | labels | what |\n| --- | --- | --- | --- |\n";
  for (const Row& each : rows) {
    out += "| `" + each.family.name + "` | " + std::string(to_string(each.type)) + " | ";
    for (std::size_t i = 0; i < each.family.labels.size(); ++i) {
      out += (i > 0 ? ", `" : "`") + each.family.labels[i] + "`";
    }
    out += " | " + each.family.help + " |\n";
  }
  out += R"(
Labels never carry what a client sent: `endpoint` is a path of the endpoint table or `other`,
`model` a configured model, `code` the `error.code` of the answer, `process` is `server` or
`engine MODEL`, `result` one of those named above. A family that reaches its bound of series puts
further ones under `other`.

## What to ask of them

| question | PromQL |
| --- | --- |
)";
  for (const Question& each : questions) {
    out += "| " + std::string(each.what) + " | `" + std::string(each.query) + "` |\n";
  }
  return out;
}

}  // namespace deepseek::observe
