// The API's HTTP handler: finds the endpoint, decodes, asks the gateway, encodes.
//
// Owned by main(), used by all I/O threads; it keeps no state of a request. What a reload changes
// is in the snapshot. It never forwards a header and logs neither prompt, key nor path.
#pragma once

#include "base/log.hpp"
#include "frontend/request_record.hpp"
#include "frontend/snapshot.hpp"
#include "frontend/status_pages.hpp"
#include "io/http_handler.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace deepseek::frontend {

struct Route;
enum class Endpoint;

class Frontend final : public io::HttpHandler {
 public:
  struct Options {
    std::string version;
    base::Logger logger;
    RequestObserver* observer = nullptr;  // not owned; may be null
  };
  Frontend(Options options, std::shared_ptr<const Snapshot> snapshot);

  // Any thread. Requests that run keep the snapshot they began with.
  void replace(std::shared_ptr<const Snapshot> snapshot) { snapshot_.replace(std::move(snapshot)); }
  std::shared_ptr<const Snapshot> snapshot() const { return snapshot_.get(); }
  // From now on /ready says that the server stops.
  void set_draining() { draining_ = true; }

  base::Result<std::uint64_t> accept_head(const io::HttpRequest& request) override;
  boost::asio::awaitable<void> handle(io::HttpRequest request,
                                      io::HttpResponder& responder) override;
  io::HttpResponse refuse(const io::HttpRefusal& refusal, const io::HttpRequest& request) override;

 private:
  boost::asio::awaitable<void> answer(const Route& route, io::HttpRequest& request,
                                      io::HttpResponder& responder, RequestRecord& record);
  // One call from its request to its answer, which `make_body` writes from both.
  template <class Decode, class MakeBody>
  boost::asio::awaitable<void> take_turn(const io::HttpRequest& request,
                                         io::HttpResponder& responder, RequestRecord& record,
                                         Decode decode, MakeBody make_body);
  boost::asio::awaitable<void> embed(const io::HttpRequest& request, io::HttpResponder& responder,
                                     RequestRecord& record);
  boost::asio::awaitable<void> call(const Route& route, io::HttpRequest& request,
                                    io::HttpResponder& responder, RequestRecord& record);
  base::Result<std::string> call_page(const Route& route, const io::HttpRequest& request,
                                      const RequestRecord& record) const;
  boost::asio::awaitable<void> rerank(const io::HttpRequest& request, io::HttpResponder& responder,
                                      RequestRecord& record);
  // Text or a chat to tokens, or back.
  boost::asio::awaitable<void> tokenize(Endpoint endpoint, const io::HttpRequest& request,
                                        io::HttpResponder& responder, RequestRecord& record);
  boost::asio::awaitable<void> count_tokens(const io::HttpRequest& request,
                                            io::HttpResponder& responder, RequestRecord& record);
  boost::asio::awaitable<void> send(io::HttpResponder& responder, io::HttpResponse response,
                                    RequestRecord& record);
  boost::asio::awaitable<void> send_error(io::HttpResponder& responder, const base::Error& error,
                                          RequestRecord& record);
  boost::asio::awaitable<void> route_request(io::HttpRequest& request, io::HttpResponder& responder,
                                             RequestRecord& record);
  io::HttpResponse page(const Route& route, const io::HttpRequest& request,
                        const RequestRecord& record) const;
  io::HttpResponse root_page(const io::HttpRequest& request, const RequestRecord& record) const;
  ServerFacts facts() const;
  RequestRecord make_record(const io::HttpRequest& request) const;
  void report(RequestRecord& record);
  void log_request(const RequestRecord& record, base::TimePoint now) const;

  const Options options_;
  SnapshotHolder snapshot_;
  const base::TimePoint began_ = base::now();
  std::atomic<bool> draining_{false};
  base::LogLimit failures_;
};

}  // namespace deepseek::frontend
