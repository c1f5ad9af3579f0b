#include "io/grpc_call.hpp"

#include "io/event.hpp"
#include "io/grpc_bytes.hpp"

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;
using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

constexpr std::size_t message_text_max = 4u << 10;  // of a status

base::Error gone() {
  return base::make_error(ErrorCode::cancelled, "the client has gone");
}

std::string lower(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// What metadata may hold: printable ASCII.
std::string printable(std::string_view value) {
  std::string out(value);
  std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

// "ipv4:127.0.0.1:4711" and "ipv6:%5B::1%5D:4711" without scheme and port.
std::string address_of(std::string peer) {
  const auto scheme = peer.find(':');
  const auto port = peer.rfind(':');
  if (scheme == std::string::npos || port <= scheme) return peer;
  std::string address = peer.substr(scheme + 1, port - scheme - 1);
  if (address.starts_with("%5B") && address.ends_with("%5D")) {
    address = address.substr(3, address.size() - 6);
  }
  return address;
}

}  // namespace

// Lives on the I/O thread.
struct GrpcCall::State {
  explicit State(const asio::any_io_executor& executor) : news(executor) {}

  Event news;
  std::optional<bool> read;   // the end of the read that runs
  std::optional<bool> write;  // of the write
  bool late = false;          // the read took too long
  bool cancelled = false;
  bool done = false;
  std::function<void()> on_gone;

  void cancel() {
    cancelled = true;
    if (on_gone) std::exchange(on_gone, {})();
    news.notify();
  }
};

// Called on threads of gRPC; tells the I/O thread.
class GrpcReactor final : public GrpcCall::Bidi {
 public:
  enum class Kind { read, write, cancel, done };

  GrpcReactor(grpc::CallbackServerContext& context, asio::any_io_executor executor,
              std::function<void(Kind, bool)> tell)
      : context_(context), executor_(std::move(executor)), tell_(std::move(tell)) {}

  void OnReadDone(bool ok) override { post(Kind::read, ok); }
  void OnWriteDone(bool ok) override { post(Kind::write, ok); }
  void OnCancel() override { post(Kind::cancel, false); }
  void OnDone() override {
    post(Kind::done, false);
    delete this;
  }
  grpc::CallbackServerContext& context() { return context_; }

  grpc::ByteBuffer request;
  grpc::ByteBuffer response;

 private:
  void post(Kind kind, bool ok) {
    asio::post(executor_, [tell = tell_, kind, ok] { tell(kind, ok); });
  }

  grpc::CallbackServerContext& context_;
  const asio::any_io_executor executor_;
  const std::function<void(Kind, bool)> tell_;
};

GrpcCall::GrpcCall(grpc::CallbackServerContext& context, const std::string& path,
                   const GrpcServerOptions& options, asio::any_io_executor executor)
    : path_(path),
      options_(options),
      executor_(std::move(executor)),
      state_(std::make_shared<State>(executor_)) {
  auto tell = [state = state_](GrpcReactor::Kind kind, bool ok) {
    using enum GrpcReactor::Kind;
    switch (kind) {
      case read:
        state->read = ok;
        break;
      case write:
        state->write = ok;
        break;
      case cancel:
        state->cancel();
        break;
      case done:
        state->done = true;
    }
    state->news.notify();
  };
  reactor_ = new GrpcReactor(context, executor_, std::move(tell));
}

GrpcCall::~GrpcCall() = default;

GrpcCall::Bidi* GrpcCall::reactor() {
  return reactor_;
}

Result<HttpRequest> GrpcCall::make_request() const {
  grpc::CallbackServerContext& context = reactor_->context();
  HttpRequest request;
  request.method = "POST";
  request.target = path_;
  request.path = path_;
  request.grpc = true;
  request.peer_address = address_of(context.peer());
  request.secure = !options_.certificate.empty();
  const auto& metadata = context.client_metadata();
  if (metadata.size() > options_.fields_max) {
    return base::make_error(
        ErrorCode::header_too_large,
        "the call has " + std::to_string(metadata.size()) + " entries of metadata; at most " +
            std::to_string(options_.fields_max) + " (http.fields_max) are allowed");
  }
  for (const auto& [name, value] : metadata) {
    const std::string_view key(name.data(), name.size());
    if (key.ends_with("-bin")) continue;
    request.fields.add(key, std::string_view(value.data(), value.size()));
  }
  return request;
}

asio::awaitable<Result<std::string>> GrpcCall::read_message() {
  reactor_->StartRead(&reactor_->request);
  asio::steady_timer limit(executor_, options_.body_timeout);
  limit.async_wait([state = std::weak_ptr(state_)](const boost::system::error_code& error) {
    const auto alive = state.lock();
    if (error || !alive) return;
    alive->late = true;
    alive->news.notify();
  });
  while (!state_->read && !state_->late) {
    co_await state_->news.wait();
  }
  limit.cancel();
  if (!state_->read) {
    reactor_->context().TryCancel();  // ends the read; what it reads into stays until it has
    while (!state_->read) {
      co_await state_->news.wait();
    }
    co_return base::make_error(ErrorCode::request_timeout,
                               "the request did not come within http.body_timeout");
  }
  if (state_->cancelled) co_return gone();
  if (!*state_->read) {
    co_return base::make_error(ErrorCode::invalid_request, "the call has no message");
  }
  std::string bytes = to_string(reactor_->request);
  reactor_->request.Clear();
  co_return bytes;
}

void GrpcCall::add_initial(const HttpResponse& head) {
  started_ = true;
  for (const auto& [name, value] : head.fields) {
    const std::string key = lower(name);
    if (key == "content-type" || key == "cache-control" || key == "retry-after") continue;
    reactor_->context().AddInitialMetadata(key, printable(value));
  }
}

void GrpcCall::end(const base::Error* error) {
  if (ended_) return;
  ended_ = true;
  if (error == nullptr) {
    reactor_->Finish(grpc::Status::OK);
    return;
  }
  const auto& row = base::describe(error->code);
  grpc::CallbackServerContext& context = reactor_->context();
  context.AddTrailingMetadata("deepseek-error", std::string(row.name));
  if (!error->param.empty()) {
    context.AddTrailingMetadata("deepseek-param", printable(error->param));
  }
  if (error->retry_after) {
    context.AddTrailingMetadata("retry-after-ms", std::to_string(error->retry_after->count()));
  }
  reactor_->Finish(grpc::Status(static_cast<grpc::StatusCode>(row.grpc_code),
                                error->message.substr(0, message_text_max)));
}

asio::awaitable<Result<void>> GrpcCall::send(HttpResponse response) {
  add_initial(response);
  if (response.error) {
    end(&*response.error);
    co_return Result<void>{};
  }
  auto written = co_await write_message(response.body);
  if (written.has_error()) co_return written.error();
  end(nullptr);
  co_return Result<void>{};
}

asio::awaitable<Result<void>> GrpcCall::start(HttpResponse head) {
  add_initial(head);
  if (state_->cancelled) co_return gone();
  co_return Result<void>{};
}

asio::awaitable<Result<void>> GrpcCall::write(std::string_view piece) {
  cutter_.push(piece);
  while (auto message = cutter_.next()) {
    auto written = co_await write_message(*message);
    if (written.has_error()) co_return written.error();
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> GrpcCall::write_message(const std::string& message) {
  if (state_->cancelled || ended_) co_return gone();
  state_->write.reset();
  reactor_->response = to_buffer(message);
  reactor_->StartWrite(&reactor_->response);
  asio::steady_timer limit(executor_, options_.write_timeout);
  limit.async_wait(
      [state = std::weak_ptr(state_), reactor = reactor_](const boost::system::error_code& error) {
        const auto alive = state.lock();
        // The write still runs, so the reactor is there.
        if (error || !alive || alive->write) return;
        reactor->context().TryCancel();
      });
  while (!state_->write) {
    co_await state_->news.wait();
  }
  if (!*state_->write) co_return gone();
  co_return Result<void>{};
}

asio::awaitable<Result<void>> GrpcCall::finish() {
  end(nullptr);
  co_return Result<void>{};
}

asio::awaitable<Result<void>> GrpcCall::fail(const base::Error& error) {
  end(&error);
  co_return Result<void>{};
}

void GrpcCall::on_client_gone(std::function<void()> callback) {
  if (callback && state_->cancelled) {
    callback();
    return;
  }
  state_->on_gone = std::move(callback);
}

std::optional<SteadyTime> GrpcCall::deadline() const {
  const auto until = reactor_->context().deadline();
  const auto now = std::chrono::system_clock::now();
  // A call without a deadline has one that is never reached.
  if (until - now > std::chrono::hours(24 * 365)) return std::nullopt;
  return std::chrono::steady_clock::now() + (until - now);
}

asio::awaitable<void> GrpcCall::close() {
  if (!ended_) {
    const base::Error error =
        state_->cancelled ? gone()
                          : base::make_error(ErrorCode::internal, "the call was not answered");
    end(&error);
  }
  while (!state_->done) {
    co_await state_->news.wait();
  }
}

}  // namespace deepseek::io
