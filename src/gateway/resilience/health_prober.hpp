// Asks an upstream for a sign of life now and then, and tells its health object.
//
// One for each target that has a path for it; run() is a coroutine on one I/O thread, ended by
// cancelling its task. The decisions are HealthCheck's.
#pragma once

#include "gateway/resilience/backend_health.hpp"
#include "io/http_client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

namespace deepseek::gateway {

struct HealthProberOptions {
  io::HttpUrl url;  // of the upstream; its path is not used
  std::string path;
  std::string api_key;  // sent as a bearer; may be empty
  base::Milliseconds timeout{5'000};
  std::shared_ptr<const io::TlsClientContext> trust;
  bool ended = false;  // set on the task's thread: no further check begins
};

// Both arguments outlive the task. A status from 200 to 299 is a sign of life.
boost::asio::awaitable<void> probe_health(const HealthProberOptions& options, BackendHealth& health,
                                          boost::asio::any_io_executor executor);

}  // namespace deepseek::gateway
