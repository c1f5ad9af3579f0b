#include "io/http_pool.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

namespace {

constexpr base::Milliseconds end_time{1'000};  // for the last bytes of an answer

}  // namespace

HttpPool::HttpPool(asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
                   Limits limits)
    : executor_(executor),
      url_(std::move(url)),
      options_(std::move(options)),
      limits_(limits),
      resolver_(std::move(executor)) {}

HttpPool::~HttpPool() = default;

std::unique_ptr<HttpClient> HttpPool::take_kept() {
  const base::TimePoint now = base::now();
  if (!ending_.empty()) settle(now);
  drop_old(now);
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
  watch(kept_);
}

void HttpPool::give_back_soon(std::unique_ptr<HttpClient> client) {
  if (limits_.idle_max == 0) return;
  if (ending_.size() >= limits_.idle_max) ending_.pop_front();
  const base::TimePoint now = base::now();
  ending_.push_back({std::move(client), now});
  settle(now);
}

// What has arrived meanwhile decides. Looked at when the pool is used, as the age of kept ones is.
// Not watched while it is looked at: a bad end cuts the connection, and whoever watches would
// destroy the client in the middle of that.
void HttpPool::settle(base::TimePoint now) {
  std::list<Kept> waiting = std::exchange(ending_, {});
  for (Kept& each : waiting) {
    each.client->wake();
    auto rest = each.client->take_ready();
    while (!rest.has_error() && !rest->empty()) rest = each.client->take_ready();
    if (rest.has_error()) continue;
    if (each.client->body_done()) {
      give_back(std::move(each.client));
    } else if (now - each.since <= end_time) {
      ending_.push_back(std::move(each));
      watch(ending_);
    }
  }
}

// The last one of the list leaves it when its server ends it.
void HttpPool::watch(std::list<Kept>& list) {
  const HttpClient* const mine = list.back().client.get();
  list.back().client->watch_idle([&list, mine] {
    std::erase_if(list, [mine](const Kept& kept) { return kept.client.get() == mine; });
  });
}

void HttpPool::drop_old(base::TimePoint now) {
  while (!kept_.empty() && now - kept_.front().since > limits_.idle_timeout) kept_.pop_front();
}

}  // namespace deepseek::io
