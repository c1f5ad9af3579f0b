#include "io/http_pool.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

namespace {

constexpr base::Milliseconds end_time{1'000};  // for the last bytes of an answer
constexpr std::size_t end_bytes_max = 4096;    // more is not an end

}  // namespace

HttpPool::HttpPool(asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
                   Limits limits)
    : executor_(executor),
      url_(std::move(url)),
      options_(std::move(options)),
      limits_(limits),
      resolver_(std::move(executor)),
      self_(std::make_shared<Self>(Self{this})) {}

HttpPool::~HttpPool() {
  self_->pool = nullptr;
}

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

void HttpPool::give_back_soon(std::unique_ptr<HttpClient> client) {
  const auto rest = client->take_ready();
  if (rest.has_error() || self_->ending >= limits_.idle_max) return;
  if (client->body_done()) return give_back(std::move(client));
  ++self_->ending;
  asio::co_spawn(executor_, read_end(std::move(client), self_), asio::detached);
}

asio::awaitable<void> HttpPool::read_end(std::unique_ptr<HttpClient> client,
                                         std::shared_ptr<Self> self) {
  const base::TimePoint by = base::now() + end_time;
  std::size_t size = 0;
  while (size < end_bytes_max) {
    const auto piece = co_await client->read_piece(by);
    if (piece.has_error()) break;
    if (piece->empty()) {
      if (self->pool != nullptr) self->pool->give_back(std::move(client));
      break;
    }
    size += piece->size();
  }
  --self->ending;
}

void HttpPool::drop_old(base::TimePoint now) {
  while (!kept_.empty() && now - kept_.front().since > limits_.idle_timeout) kept_.pop_front();
}

}  // namespace deepseek::io
