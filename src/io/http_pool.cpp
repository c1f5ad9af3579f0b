#include "io/http_pool.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

HttpPool::HttpPool(asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
                   Limits limits)
    : executor_(executor),
      url_(std::move(url)),
      options_(std::move(options)),
      limits_(limits),
      resolver_(std::move(executor)) {}

HttpPool::~HttpPool() = default;

std::unique_ptr<HttpClient> HttpPool::take_kept() {
  drop_old(base::now());
  while (!kept_.empty()) {
    std::unique_ptr<HttpClient> client = std::move(kept_.back().client);
    kept_.pop_back();
    if (client->wake()) return client;
  }
  return nullptr;
}

asio::awaitable<base::Result<std::unique_ptr<HttpClient>>> HttpPool::connect(
    base::TimePoint deadline, std::shared_ptr<ConnectStop> stop) {
  auto client = co_await HttpClient::connect(executor_, url_, options_, deadline, &resolver_,
                                             std::move(stop));
  co_return client;
}

void HttpPool::give_back(std::unique_ptr<HttpClient> client) {
  if (!client->reusable() || limits_.idle_max == 0) return;
  const base::TimePoint now = base::now();
  drop_old(now);
  if (kept_.size() >= limits_.idle_max) kept_.pop_front();
  kept_.push_back({std::move(client), now});
  const HttpClient* const mine = kept_.back().client.get();
  kept_.back().client->watch_idle([this, mine] {
    std::erase_if(kept_, [mine](const Kept& kept) { return kept.client.get() == mine; });
  });
}

void HttpPool::drop_old(base::TimePoint now) {
  while (!kept_.empty() && now - kept_.front().since > limits_.idle_timeout) kept_.pop_front();
}

}  // namespace deepseek::io
