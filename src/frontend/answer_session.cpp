#include "frontend/answer_session.hpp"

#include "frontend/http_rules.hpp"
#include "frontend/kept_responses.hpp"
#include "io/task_group.hpp"
#include "protocol/sse.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <utility>

namespace deepseek::frontend {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::string_view empty_line = "\n";  // white space in front of the JSON body

}  // namespace

AnswerSession::AnswerSession(Endpoint endpoint, protocol::Request request,
                             const gateway::Caller& caller,
                             std::shared_ptr<const Snapshot> snapshot, io::HttpResponder& responder,
                             RequestRecord& record, Report report)
    : endpoint_(endpoint),
      request_(std::move(request)),
      caller_(caller),
      snapshot_(std::move(snapshot)),
      responder_(responder),
      record_(record),
      report_(std::move(report)),
      deadline_(responder.executor()),
      silence_(responder.executor()),
      written_(responder.executor()) {}

AnswerSession::~AnswerSession() {
  responder_.on_client_gone({});
}

void AnswerSession::consult(AnswerCache& cache, CacheWish wish) {
  cache_ = &cache;
  wish_ = std::move(wish);
}

void AnswerSession::keep_response(protocol::ResponsesFields fields) {
  responses_ = std::move(fields);
}

std::unique_ptr<gateway::EventStream> AnswerSession::start(const gateway::Gateway::Routed& routed) {
  if (cache_ == nullptr) {
    return snapshot_->gateway->start(request_, routed, caller_, responder_.executor());
  }
  CachedQuestion question{request_,      caller_.tenant,   routed.cache_scope,
                          record_.label, std::move(wish_), *routed.cache};
  CachedStream::Backends backends;
  backends.start = [this, routed] {
    return snapshot_->gateway->start(request_, routed, caller_, responder_.executor());
  };
  backends.embed = [this](const protocol::EmbeddingRequest& request) {
    return snapshot_->gateway->embed(request, caller_, responder_.executor());
  };
  auto stream = std::make_unique<CachedStream>(*cache_, std::move(question), std::move(backends),
                                               responder_.executor());
  watch_->cached = stream.get();
  return stream;
}

asio::awaitable<void> AnswerSession::run() {
  const auto routed = snapshot_->gateway->route(request_, caller_);
  if (routed.has_error()) {
    co_await refuse(routed.error());
    co_return;
  }
  record_.model = routed->label;
  record_.tenant = caller_.tenant;
  record_.stream = request_.stream;
  watch_client();
  watch_deadline();
  watch_->stream = start(*routed);
  if (given_up()) {
    watch_->stream->cancel();
    co_await refuse(base::make_error(ErrorCode::cancelled, "the answer was given up"));
    co_return;
  }
  co_await run_beside_keep_alives();
}

void AnswerSession::Watch::client_left() {
  client_gone = true;
  if (cached != nullptr) {
    cached->client_left();
  } else if (stream) {
    stream->cancel();
  }
}

void AnswerSession::watch_client() {
  responder_.on_client_gone([watch = watch_] { watch->client_left(); });
}

void AnswerSession::watch_deadline() {
  const base::TimePoint never = base::TimePoint::max();
  const auto own = snapshot_->request_timeout;
  const base::TimePoint by =
      std::min(own.count() == 0 ? never : base::now() + own, responder_.deadline().value_or(never));
  if (by == never) return;
  deadline_.expires_at(by);
  // The handler may be on its way when the timer is destroyed, so it must not touch the session.
  deadline_.async_wait([watched = std::weak_ptr(watch_)](const boost::system::error_code& error) {
    const auto watch = watched.lock();
    if (error || !watch) return;
    watch->expired = true;
    if (watch->stream) watch->stream->cancel();
  });
}

bool AnswerSession::given_up() {
  return watch_->client_gone || watch_->expired;
}

void AnswerSession::report(int status, std::string_view error) {
  if (status == 200 && watch_->client_gone) {
    status = base::describe(ErrorCode::cancelled).http_status;
    error = "cancelled";
  }
  record_.status = status;
  record_.error = error;
  if (watch_->cached != nullptr) {
    record_.cache = to_string(watch_->cached->result());
    if (record_.from_cache()) record_.usage = watch_->cached->usage();
  }
  report_();
}

// Why this backend, and what the cache did: for whoever wonders where an answer comes from.
void AnswerSession::add_notes(io::HttpResponse& response) {
  if (!watch_->stream) return;
  if (watch_->cached != nullptr) watch_->cached->add_fields(response.fields);
  std::string note = watch_->stream->route_note();
  told_note_ = note.size();
  if (!note.empty()) response.fields.add("DeepSeek-Route", std::move(note));
}

// The head of a stream goes out before its answer is continued elsewhere; that is told at its end,
// as a comment. Frames that pass as they are come from one backend, which the head names.
std::string AnswerSession::late_route_note() const {
  if (verbatim_ || !watch_->stream || endpoint_ == Endpoint::rpc_binary) return {};
  const std::string note = watch_->stream->route_note();
  return note.size() <= told_note_ ? std::string{} : ": DeepSeek-Route: " + note + "\n\n";
}

asio::awaitable<void> AnswerSession::run_whole() {
  protocol::Answer answer(request_);
  std::optional<std::string> body;
  for (;;) {
    auto events = co_await read_events();
    if (events.has_error()) {
      co_await refuse(events.error());
      co_return;
    }
    if (events->empty()) break;
    for (protocol::Event& event : *events) {
      record_.note(event, base::now());
      if (auto* verbatim = std::get_if<protocol::Verbatim>(&event)) {
        body = std::move(verbatim->bytes);
      } else {
        answer.add(std::move(event));
      }
    }
  }
  if (!body) {
    body = co_await whole_body(answer);
  }
  if (watch_->cached != nullptr) watch_->cached->publish(*body, true);
  report(200);
  if (responder_.started()) {  // it has sent empty lines
    const bool taken = co_await write(std::move(*body));
    if (!taken) co_return;
    [[maybe_unused]] auto finished = co_await responder_.finish();
    co_return;
  }
  auto response = json_response(200, std::move(*body), record_.id, record_.form);
  add_notes(response);
  [[maybe_unused]] auto sent = co_await responder_.send(std::move(response));
}

// A response that shall be kept is on the disk before its client is told so.
asio::awaitable<std::string> AnswerSession::whole_body(const protocol::Answer& answer) {
  protocol::AnswerHead head = make_head();
  if (responses_.stored) {
    auto text = protocol::responses_body(head, request_, answer);
    head.stored = co_await keep(*snapshot_, caller_.tenant, responses_, text);
    if (head.stored) co_return std::move(text.text);
  }
  co_return answer_body(endpoint_, head, request_, answer);
}

// Before the last event of a stream. One whose client has left is not kept: nobody was told its
// end.
asio::awaitable<void> AnswerSession::keep_stream(const base::Error* error) {
  if (!responses_.stored || watch_->client_gone) co_return;
  make_encoder();
  auto text = encoder_->response_text(error);
  responses_.stored = co_await keep(*snapshot_, caller_.tenant, responses_, std::move(text));
  if (!responses_.stored) encoder_->set_unstored();
}

// The next events, when nothing that keeps the connection alive is being written any more.
asio::awaitable<base::Result<std::vector<protocol::Event>>> AnswerSession::read_events() {
  reading_ = true;
  auto events = co_await watch_->stream->read();
  reading_ = false;
  while (writing_) {
    co_await written_.wait();
  }
  co_return events;
}

// How long it may be silent; 0: for ever. A call of gRPC has no comments; its connection has pings.
std::chrono::milliseconds AnswerSession::silence_max() const {
  if (endpoint_ == Endpoint::rpc_binary) return {};
  return request_.stream ? snapshot_->keep_alive_comment : snapshot_->keep_alive_line;
}

asio::awaitable<void> AnswerSession::run_beside_keep_alives() {
  last_write_ = base::now();
  io::TaskGroup companions(responder_.executor());
  if (silence_max().count() > 0) companions.spawn("keep alive", send_keep_alives());
  std::exception_ptr failure;
  try {
    if (request_.stream) {
      co_await forward_events();
    } else {
      co_await run_whole();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  // The companion must have ended even when this coroutine itself was cancelled.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await companions.stop();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

// Adds what the client shall see of an event. An answer that began with an upstream's own frames
// and goes on with events keeps the head of those frames.
void AnswerSession::take(const protocol::Event& event, std::string& piece) {
  if (const auto* verbatim = std::get_if<protocol::Verbatim>(&event)) {
    verbatim_ = true;
    piece += verbatim->bytes;
    return;
  }
  if (const auto* resumed = std::get_if<protocol::Resumed>(&event)) {
    verbatim_ = false;
    protocol::AnswerHead head = make_answer_head(endpoint_, resumed->model);
    head.id = resumed->id;
    head.created = resumed->created;
    head.resumed = true;
    encoder_ = make_stream_encoder(endpoint_, head, request_);
    return;
  }
  if (verbatim_) return;
  make_encoder();
  frames_.clear();
  encoder_->on_event(event, frames_);
  for (const std::string& frame : frames_) piece += frame;
}

protocol::AnswerHead AnswerSession::make_head() const {
  protocol::AnswerHead head = make_answer_head(endpoint_, request_.model);
  head.stored = responses_.stored;
  return head;
}

void AnswerSession::make_encoder() {
  if (!encoder_) encoder_ = make_stream_encoder(endpoint_, make_head(), request_);
}

// The end of a stream that had no events is still an end.
std::string AnswerSession::stream_end() {
  std::string piece;
  if (verbatim_) return piece;
  make_encoder();
  frames_.clear();
  encoder_->finish(frames_);
  for (const std::string& frame : frames_) piece += frame;
  return piece;
}

asio::awaitable<void> AnswerSession::forward_events() {
  for (;;) {
    auto events = co_await read_events();
    if (events.has_error()) {
      co_await refuse(events.error());
      co_return;
    }
    std::string piece;
    for (const protocol::Event& event : *events) {
      record_.note(event, base::now());
      take(event, piece);
    }
    const bool ended = events->empty();
    if (ended) {
      co_await keep_stream(nullptr);
      piece = stream_end();
      report(200);
    }
    if (watch_->cached != nullptr) watch_->cached->publish(piece, ended);
    // Where this answer went on is of no interest to those that get it from the cache.
    if (ended) piece.insert(0, late_route_note());
    if (!piece.empty()) {
      const bool taken = co_await write(std::move(piece));
      if (!taken) co_return;
    }
    if (ended) {
      [[maybe_unused]] auto finished = co_await responder_.finish();
      co_return;
    }
  }
}

asio::awaitable<void> AnswerSession::send_keep_alives() {
  const std::string_view comment =
      endpoint_ == Endpoint::messages ? protocol::sse_ping : protocol::sse_keep_alive;
  const std::string_view alive = request_.stream ? comment : empty_line;
  for (;;) {
    silence_.expires_at(last_write_ + silence_max());
    auto [error] = co_await silence_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    if (!reading_) {
      last_write_ = base::now();
      continue;
    }
    if (base::now() < last_write_ + silence_max()) continue;
    writing_ = true;
    const bool taken = co_await write(std::string(alive));
    writing_ = false;
    written_.notify();
    if (!taken) co_return;
  }
}

// False when the client has gone; its answer is then cancelled, unless others follow it or all
// of it was said.
asio::awaitable<bool> AnswerSession::write(std::string piece) {
  last_write_ = base::now();
  if (!watch_->client_gone && !responder_.started()) {
    auto head = request_.stream ? stream_response(record_.id, record_.form)
                                : json_response(200, {}, record_.id, record_.form);
    add_notes(head);
    auto started = co_await responder_.start(std::move(head));
    if (started.has_error()) watch_->client_gone = true;
  }
  if (!watch_->client_gone) {
    auto written = co_await responder_.write(piece);
    if (written.has_error()) watch_->client_gone = true;
  }
  last_write_ = base::now();
  if (!watch_->client_gone) co_return true;
  report(base::describe(ErrorCode::cancelled).http_status, "cancelled");
  watch_->client_left();
  co_return watch_->cached != nullptr && watch_->cached->goes_on();
}

// With its own status before the head is sent; afterwards as a frame, after which nothing follows.
// A whole answer that has sent empty lines is cut off behind the error, lest a client take it for
// an answer: many ask again then.
asio::awaitable<void> AnswerSession::refuse(base::Error error) {
  if (watch_->client_gone) {
    error = base::make_error(ErrorCode::cancelled, "the client has gone");
  } else if (watch_->expired) {
    error = base::make_error(ErrorCode::deadline_exceeded,
                             "the answer took longer than network.rpc_timeout, or the call's own "
                             "deadline, allows");
  }
  const auto& row = base::describe(error.code);
  report(row.http_status, row.name);
  if (watch_->client_gone) co_return;
  if (!responder_.started()) {
    [[maybe_unused]] auto sent =
        co_await responder_.send(error_response(error, record_.id, record_.form));
    co_return;
  }
  std::string piece;
  if (!request_.stream) {
    [[maybe_unused]] const bool taken =
        co_await write(protocol::error_body(error, record_.form, record_.id));
    co_return;
  }
  if (encoder_ && !verbatim_) {
    co_await keep_stream(&error);
    frames_.clear();
    encoder_->fail(error, frames_);
    for (const std::string& frame : frames_) piece += frame;
  } else if (endpoint_ != Endpoint::rpc_binary) {
    piece = protocol::error_frame(error, record_.form, record_.id);
  }
  if (!piece.empty()) {
    const bool taken = co_await write(std::move(piece));
    if (!taken) co_return;
  }
  [[maybe_unused]] auto finished = co_await responder_.fail(error);
}

}  // namespace deepseek::frontend
