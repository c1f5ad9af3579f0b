// The handler of the metrics port, which is the operator's: GET /metrics, GET /backends, GET
// /admin/engine, POST /routes/explain; and the observer that feeds the metrics.
//
// Owned by main(); any I/O thread.
#pragma once

#include "frontend/frontend.hpp"
#include "frontend/operator_pages.hpp"
#include "frontend/request_record.hpp"
#include "io/http_handler.hpp"
#include "observe/metrics.hpp"
#include "observe/server_metrics.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace deepseek::frontend {

// Counts every request of the API.
class MetricsObserver final : public RequestObserver {
 public:
  explicit MetricsObserver(observe::ServerMetrics& metrics) : metrics_(metrics) {}
  void on_request(const RequestRecord& record, base::TimePoint now) override;

 private:
  observe::ServerMetrics& metrics_;
};

class MetricsPage final : public io::HttpHandler {
 public:
  explicit MetricsPage(observe::Registry& registry) : registry_(registry) {}
  // Before the port opens: whose backends and routes it tells of. It outlives this.
  void show(const Frontend& frontend) { frontend_ = &frontend; }
  // Before the port opens: what /admin/engine tells; called on any I/O thread.
  using Engines = std::function<std::vector<EngineReport>()>;
  void show_engines(Engines engines) { engines_ = std::move(engines); }

  base::Result<std::uint64_t> accept_head(const io::HttpRequest& request) override;
  boost::asio::awaitable<void> handle(io::HttpRequest request,
                                      io::HttpResponder& responder) override;
  io::HttpResponse refuse(const io::HttpRefusal& refusal, const io::HttpRequest& request) override;

 private:
  io::HttpResponse page(const io::HttpRequest& request) const;

  observe::Registry& registry_;
  const Frontend* frontend_ = nullptr;
  Engines engines_;
};

}  // namespace deepseek::frontend
