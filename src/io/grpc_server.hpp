// gRPC server: every call becomes a request of the same kind that the HTTP server hands out, a POST
// to its path with its message as body, and is answered through the same HttpHandler.
//
// Owned by main(); made, listened and destroyed on main's thread, with the I/O threads stopped or
// after drain(). gRPC has threads of its own: what they tell is posted to the I/O thread that a
// call belongs to, where its coroutine runs. It knows paths, bytes and metadata, and no message.
//
// An answer's pieces hold whole messages behind their length, as gRPC has them on the wire
// (protocol's rpc_encode makes them); each is accepted when gRPC has room for it, so a slow client
// slows its own call. HttpResponse::error, or HttpResponder::fail(), becomes the call's status.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "io/http_handler.hpp"
#include "io/io_threads.hpp"

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace deepseek::io {

struct GrpcServerOptions {
  std::string service;                     // its full name, for the health service
  std::vector<std::string> paths;          // of its methods; gRPC itself refuses every other one
  std::size_t calls_max = 10'000;          // at a time; over it: RESOURCE_EXHAUSTED
  std::uint32_t streams_max = 100;         // calls of one connection at a time; more of them wait
  std::uint64_t message_max = 16u << 20;   // bytes of a request
  std::uint32_t metadata_max = 16u << 10;  // bytes
  std::size_t fields_max = 100;            // entries of metadata
  std::chrono::milliseconds body_timeout{30'000};   // for the request after its metadata
  std::chrono::milliseconds write_timeout{30'000};  // the client takes nothing for so long: cut
  std::chrono::milliseconds idle_timeout{75'000};   // of a connection without calls
  bool reflection = true;
  std::string certificate;  // PEM file; empty: no TLS
  std::string key;
  std::string key_password;
};

class GrpcServer {
 public:
  GrpcServer(IoThreads& threads, HttpHandler& handler, GrpcServerOptions options,
             base::Logger logger);
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // Binds, and takes calls from now on; port 0 lets the system choose. No other process may share
  // the port. The error is one line for the person who started the server. Once.
  base::Result<std::uint16_t> listen(const std::string& host, std::uint16_t port);

  // Takes no new calls, and lets those that run end; after `limit` they are cut. True if none was.
  // Once, from a coroutine, with the I/O threads running.
  boost::asio::awaitable<bool> drain(std::chrono::milliseconds limit);

  std::size_t calls() const;  // that run now; any thread

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace deepseek::io
