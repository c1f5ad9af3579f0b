#include "frontend/metrics_page.hpp"

#include "base/id.hpp"
#include "frontend/http_rules.hpp"
#include "frontend/operator_pages.hpp"
#include "protocol/quote.hpp"

#include <chrono>

namespace deepseek::frontend {
namespace {

constexpr std::uint64_t ignored_body_max = 64u << 10;
constexpr std::uint64_t question_max = 4u << 20;
constexpr std::string_view explain_path = "/routes/explain";

double seconds(base::Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void MetricsObserver::on_request(const RequestRecord& record, base::TimePoint now) {
  metrics_.http_request(record.label, record.status, seconds(now - record.began));
  if (!record.error.empty()) metrics_.error(record.error);
  if (!record.cache.empty()) metrics_.response_cache_request(record.cache);
  // What a backend made is counted with the request that it was made for.
  if (record.model.empty() || record.from_cache()) return;
  const std::int64_t made =
      record.usage.completion_tokens > 0 ? record.usage.completion_tokens : record.tokens_seen;
  if (record.usage.prompt_tokens <= 0 && made <= 0 && !record.first_token) return;
  observe::ServerMetrics::Answer answer;
  answer.prompt_tokens = record.usage.prompt_tokens;
  answer.cached_tokens = record.usage.prompt_cache_hit_tokens;
  answer.completion_tokens = made;
  if (record.first_token) {
    answer.first_token_seconds = seconds(*record.first_token - record.began);
    if (made >= 2) {
      answer.per_token_seconds = seconds(now - *record.first_token) / static_cast<double>(made - 1);
    }
  }
  if (record.queued) answer.queue_seconds = seconds(*record.queued);
  metrics_.answer(record.model, record.tenant, answer);
}

base::Result<std::uint64_t> MetricsPage::accept_head(const io::HttpRequest& request) {
  const bool explain = request.path == explain_path;
  if (!explain && request.path != "/metrics" && request.path != "/backends" &&
      request.path != "/admin/engine") {
    return base::make_error(base::ErrorCode::not_found,
                            "there is no " + protocol::quoted(request.path) +
                                " here; this port has GET /metrics, GET /backends, GET "
                                "/admin/engine and POST /routes/explain");
  }
  const bool right =
      explain ? request.method == "POST" : request.method == "GET" || request.method == "HEAD";
  if (!right) {
    return base::make_error(base::ErrorCode::method_not_allowed,
                            request.path + " is called with " + (explain ? "POST" : "GET") +
                                ", not with " + protocol::quoted(request.method));
  }
  return explain ? question_max : ignored_body_max;
}

io::HttpResponse MetricsPage::page(const io::HttpRequest& request) const {
  const std::string id = base::random_id("req_");
  const auto snapshot = frontend_->snapshot();
  const base::TimePoint now = base::now();
  if (request.path == "/admin/engine") {
    const std::vector<EngineReport> engines = engines_ ? engines_() : std::vector<EngineReport>();
    return json_response(200, engines_body(engines, now), id);
  }
  if (request.path == "/backends") {
    return json_response(200, backends_body(snapshot->gateway->backends(now)), id);
  }
  auto body = explain_route(*snapshot->gateway, request.body, snapshot->limits, now);
  if (body.has_error()) return error_response(body.error(), id);
  return json_response(200, std::move(*body), id);
}

boost::asio::awaitable<void> MetricsPage::handle(io::HttpRequest request,
                                                 io::HttpResponder& responder) {
  if (request.path != "/metrics" && frontend_ != nullptr) {
    io::HttpResponse answer = page(request);
    [[maybe_unused]] auto told = co_await responder.send(std::move(answer));
    co_return;
  }
  io::HttpResponse response;
  response.fields.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = registry_.prometheus_text();
  [[maybe_unused]] auto sent = co_await responder.send(std::move(response));
}

io::HttpResponse MetricsPage::refuse(const io::HttpRefusal& refusal,
                                     const io::HttpRequest& request) {
  io::HttpResponse response = error_response(refusal.error, base::random_id("req_"));
  if (refusal.status != 0) response.status = refusal.status;
  if (refusal.error.code == base::ErrorCode::method_not_allowed) {
    response.fields.add("Allow", request.path == explain_path ? "POST" : "GET, HEAD");
  }
  return response;
}

}  // namespace deepseek::frontend
