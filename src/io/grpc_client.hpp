// One server that is called over gRPC, and one call of it.
//
// A channel may be used from any thread; it keeps a connection and makes it anew. A call belongs to
// a coroutine on one executor; gRPC's threads tell it what happened by posting there. Destroying a
// call cancels it.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "io/http_message.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::io {

struct GrpcChannelOptions {
  std::string address;     // "host:port"
  bool secure = false;     // TLS
  std::string trust_file;  // PEM; empty: the system's certificates
  std::uint64_t message_max = 64u << 20;
  std::chrono::milliseconds connect_timeout{5'000};
};

class GrpcChannel {
 public:
  static base::Result<std::unique_ptr<GrpcChannel>> make(const GrpcChannelOptions& options);
  ~GrpcChannel();
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

 private:
  friend class GrpcClientCall;
  struct Core;
  explicit GrpcChannel(std::unique_ptr<Core> core);
  const std::unique_ptr<Core> core_;
};

// How a call ended.
struct GrpcEnd {
  int code = 0;  // of gRPC; 0: well
  std::string message;
  HttpFields trailers;    // metadata at its end
  bool answered = false;  // the server said anything at all
};

class GrpcClientCall {
 public:
  // Begins at once. `path` is a method's; `fields` is metadata in small letters; no server may work
  // on it beyond `end_by`.
  GrpcClientCall(GrpcChannel& channel, boost::asio::any_io_executor executor, std::string_view path,
                 const HttpFields& fields, std::string message, base::TimePoint end_by);
  ~GrpcClientCall();
  GrpcClientCall(const GrpcClientCall&) = delete;
  GrpcClientCall& operator=(const GrpcClientCall&) = delete;

  // The next message; nothing when the call has ended, as end() says. deadline_exceeded when it
  // did not come by then, cancelled after cancel(): the call is then cancelled.
  boost::asio::awaitable<base::Result<std::optional<std::string>>> read(base::TimePoint by);
  void cancel();
  const GrpcEnd& end() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace deepseek::io
