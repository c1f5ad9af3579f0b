// Runs one answer: starts it at the gateway, and hands its events to the client, whole or streamed.
//
// Owned by the handler's coroutine, on the connection's thread. It decides no form (answer_form)
// and no route (gateway). A client that leaves, and a deadline that passes, cancel the stream at
// once.
#pragma once

#include "frontend/answer_form.hpp"
#include "frontend/cached_stream.hpp"
#include "frontend/request_record.hpp"
#include "frontend/snapshot.hpp"
#include "gateway/backend.hpp"
#include "io/event.hpp"
#include "io/http_handler.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace deepseek::frontend {

class AnswerSession {
 public:
  // Called once, when status and usage are known and before the last bytes are written.
  using Report = std::function<void()>;

  // `responder`, `record` and what `caller` refers to outlive the session.
  AnswerSession(Endpoint endpoint, protocol::Request request, const gateway::Caller& caller,
                std::shared_ptr<const Snapshot> snapshot, io::HttpResponder& responder,
                RequestRecord& record, Report report);
  ~AnswerSession();
  AnswerSession(const AnswerSession&) = delete;
  AnswerSession& operator=(const AnswerSession&) = delete;

  // Before run(): the response cache may answer, where the route allows it.
  void consult(AnswerCache& cache, CacheWish wish);
  // Before run(): the response to a request with these fields is kept.
  void keep_response(protocol::ResponsesFields fields);

  boost::asio::awaitable<void> run();

 private:
  // What callbacks may touch after the session has gone.
  struct Watch {
    void client_left();

    std::unique_ptr<gateway::EventStream> stream;
    CachedStream* cached = nullptr;  // `stream`, if the cache has to do with it
    bool client_gone = false;
    bool expired = false;
  };

  std::unique_ptr<gateway::EventStream> start(const gateway::Gateway::Routed& routed);
  void watch_client();
  void watch_deadline();
  void report(int status, std::string_view error = {});
  bool given_up();

  void add_notes(io::HttpResponse& response);
  std::string late_route_note() const;
  void take(const protocol::Event& event, std::string& piece);
  protocol::AnswerHead make_head() const;
  void make_encoder();
  std::string stream_end();
  boost::asio::awaitable<std::string> whole_body(const protocol::Answer& answer);
  boost::asio::awaitable<void> keep_stream(const base::Error* error);
  boost::asio::awaitable<void> run_whole();
  std::chrono::milliseconds silence_max() const;
  boost::asio::awaitable<void> run_beside_keep_alives();
  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read_events();
  boost::asio::awaitable<void> forward_events();
  boost::asio::awaitable<void> send_keep_alives();
  boost::asio::awaitable<bool> write(std::string piece);
  boost::asio::awaitable<void> refuse(base::Error error);

  const Endpoint endpoint_;
  protocol::Request request_;
  const gateway::Caller caller_;
  const std::shared_ptr<const Snapshot> snapshot_;
  io::HttpResponder& responder_;
  RequestRecord& record_;
  const Report report_;
  const std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
  AnswerCache* cache_ = nullptr;
  CacheWish wish_;
  protocol::ResponsesFields responses_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer silence_;
  io::Event written_;
  std::unique_ptr<protocol::StreamEncoder> encoder_;
  std::vector<std::string> frames_;  // of one event, between calls of the encoder
  bool verbatim_ = false;            // the upstream's own frames are passed; the encoder rests
  std::size_t told_note_ = 0;        // bytes of the route's note that the head has
  base::TimePoint last_write_{};
  bool reading_ = false;  // waiting for events: a comment may be written
  bool writing_ = false;  // a comment is being written: events must wait
};

}  // namespace deepseek::frontend
