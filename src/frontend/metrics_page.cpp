#include "frontend/metrics_page.hpp"

#include "base/id.hpp"
#include "frontend/http_rules.hpp"
#include "protocol/quote.hpp"

#include <chrono>

namespace deepseek::frontend {
namespace {

constexpr std::uint64_t ignored_body_max = 64u << 10;

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
  if (record.usage.prompt_tokens > 0 || made > 0) {
    metrics_.tokens(record.model, record.usage.prompt_tokens, record.usage.prompt_cache_hit_tokens,
                    made);
  }
  if (!record.first_token) return;
  metrics_.time_to_first_token(record.model, seconds(*record.first_token - record.began));
  if (made < 2) return;
  metrics_.time_per_output_token(
      record.model, seconds(now - *record.first_token) / static_cast<double>(made - 1));
}

base::Result<std::uint64_t> MetricsPage::accept_head(const io::HttpRequest& request) {
  if (request.path != "/metrics") {
    return base::make_error(
        base::ErrorCode::not_found,
        "there is no " + protocol::quoted(request.path) + " here; this port has GET /metrics only");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return base::make_error(
        base::ErrorCode::method_not_allowed,
        "/metrics is called with GET, not with " + protocol::quoted(request.method));
  }
  return ignored_body_max;
}

boost::asio::awaitable<void> MetricsPage::handle(io::HttpRequest /*request*/,
                                                 io::HttpResponder& responder) {
  io::HttpResponse response;
  response.fields.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = registry_.prometheus_text();
  [[maybe_unused]] auto sent = co_await responder.send(std::move(response));
}

io::HttpResponse MetricsPage::refuse(const io::HttpRefusal& refusal,
                                     const io::HttpRequest& /*request*/) {
  io::HttpResponse response = error_response(refusal.error, base::random_id("req_"));
  if (refusal.status != 0) response.status = refusal.status;
  if (refusal.error.code == base::ErrorCode::method_not_allowed) {
    response.fields.add("Allow", "GET, HEAD");
  }
  return response;
}

}  // namespace deepseek::frontend
