// Asks an upstream for a sign of life now and then, and tells its health object.
//
// One for each target that has a path for it; run() is a coroutine on one I/O thread, ended by
// cancelling its task. The decisions are HealthCheck's.
#pragma once

#include "gateway/resilience/backend_health.hpp"
#include "io/http_client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct HealthProberOptions {
  io::HttpUrl url;  // of the upstream; its path is not used
  std::string path;
  io::HttpFields fields{};  // who we are to it; may be empty
  base::Milliseconds timeout{5'000};
  std::shared_ptr<const io::TlsClientContext> trust;
  // Asked for its models after the first sign of life and now and then: their path, and who hears
  // of them. Empty: never.
  std::string models_path{};
  base::Milliseconds models_interval{600'000};
  std::function<void(std::vector<std::string>)> on_models{};
  // In place of a GET, for upstreams that do not speak HTTP/1.1.
  std::function<boost::asio::awaitable<bool>(boost::asio::any_io_executor, base::Milliseconds)>
      check{};
  bool ended = false;  // set on the task's thread: no further check begins
};

// One check: a status from 200 to 299 is a sign of life.
boost::asio::awaitable<bool> check_health(const HealthProberOptions& options,
                                          boost::asio::any_io_executor executor);

// The ids of an upstream's GET /models, as it has them: bounded, printable, sorted. Nothing if it
// has no such list.
boost::asio::awaitable<std::optional<std::vector<std::string>>> fetch_models(
    const HealthProberOptions& options, boost::asio::any_io_executor executor);
// The ids in the body of one.
std::optional<std::vector<std::string>> models_in(std::string_view body);

// Both arguments outlive the task.
boost::asio::awaitable<void> probe_health(const HealthProberOptions& options, BackendHealth& health,
                                          boost::asio::any_io_executor executor);

}  // namespace deepseek::gateway
