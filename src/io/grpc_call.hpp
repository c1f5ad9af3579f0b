// One call at the gRPC server: what gRPC's threads tell of it, on the I/O thread that answers it.
//
// Made on a thread of gRPC; everything else happens on the I/O thread. gRPC's own half (the
// reactor) lives until gRPC says that it is done; the responder until its coroutine has ended,
// which waits for that.
#pragma once

#include "io/grpc_message_cutter.hpp"
#include "io/grpc_server.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace grpc {
class ByteBuffer;
class CallbackServerContext;
template <class Request, class Response>
class ServerBidiReactor;
}  // namespace grpc

namespace deepseek::io {

class GrpcReactor;

class GrpcCall final : public HttpResponder {
 public:
  using Bidi = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `path` and `options` outlive the call.
  GrpcCall(grpc::CallbackServerContext& context, const std::string& path,
           const GrpcServerOptions& options, boost::asio::any_io_executor executor);
  ~GrpcCall() override;
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

  // For gRPC, which deletes it when the call is done.
  Bidi* reactor();
  // From the call's metadata; without a body. Error: header_too_large.
  base::Result<HttpRequest> make_request() const;
  // The request's message. Error: invalid_request, request_timeout, cancelled.
  boost::asio::awaitable<base::Result<std::string>> read_message();
  // Ends what is not ended yet, and waits until gRPC is done with the call.
  boost::asio::awaitable<void> close();

  boost::asio::awaitable<base::Result<void>> send(HttpResponse response) override;
  boost::asio::awaitable<base::Result<void>> start(HttpResponse head) override;
  boost::asio::awaitable<base::Result<void>> write(std::string_view piece) override;
  boost::asio::awaitable<base::Result<void>> finish() override;
  boost::asio::awaitable<base::Result<void>> fail(const base::Error& error) override;
  bool started() const override { return started_; }
  void on_client_gone(std::function<void()> callback) override;
  boost::asio::any_io_executor executor() const override { return executor_; }
  std::optional<std::chrono::steady_clock::time_point> deadline() const override;

 private:
  boost::asio::awaitable<base::Result<void>> write_message(const std::string& message);
  void end(const base::Error* error);
  void add_initial(const HttpResponse& head);

  const std::string& path_;
  const GrpcServerOptions& options_;
  const boost::asio::any_io_executor executor_;
  // Shared with the reactor, which may outlive this by a moment.
  struct State;
  const std::shared_ptr<State> state_;
  GrpcReactor* reactor_;  // gRPC's; valid until State::done
  GrpcMessageCutter cutter_;
  bool started_ = false;
  bool ended_ = false;  // a status was given
};

}  // namespace deepseek::io
