#include "gateway/resilience/health_prober.hpp"

#include "base/random.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;

namespace {

asio::awaitable<bool> is_alive(const HealthProberOptions& options, asio::any_io_executor executor) {
  const base::TimePoint deadline = base::now() + options.timeout;
  io::HttpClientOptions client_options;
  client_options.trust = options.trust;
  io::HttpUrl url = options.url;
  auto client =
      co_await io::HttpClient::connect(executor, std::move(url), client_options, deadline);
  if (client.has_error()) co_return false;
  io::HttpClientRequest request;
  request.target = options.path;
  if (!options.api_key.empty()) request.fields.add("Authorization", "Bearer " + options.api_key);
  auto sent = co_await (*client)->send(request, deadline);
  if (sent.has_error()) co_return false;
  auto head = co_await (*client)->read_head(deadline);
  co_return !head.has_error() && head->status >= 200 && head->status < 300;
}

}  // namespace

asio::awaitable<void> probe_health(const HealthProberOptions& options, BackendHealth& health,
                                   asio::any_io_executor executor) {
  asio::steady_timer timer(executor);
  health.begin_checks(base::now(), base::random_bits());
  while (true) {
    timer.expires_at(health.next_check_at());
    auto [stopped] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopped || options.ended) co_return;
    health.check_started();
    const bool alive = co_await is_alive(options, executor);
    health.check_finished(alive, base::now(), base::random_bits());
  }
}

}  // namespace deepseek::gateway
