#include "gateway/resilience/health_prober.hpp"

#include "base/random.hpp"
#include "protocol/json.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;

namespace {

constexpr std::size_t models_body_max = 1u << 20;
constexpr std::size_t models_max = 1'000;
constexpr std::size_t model_bytes_max = 256;

// GET, until the head has come.
asio::awaitable<base::Result<std::unique_ptr<io::HttpClient>>> get(
    const HealthProberOptions& options, const std::string& path, asio::any_io_executor executor,
    base::TimePoint deadline) {
  io::HttpClientOptions client_options;
  client_options.trust = options.trust;
  io::HttpUrl url = options.url;
  auto client =
      co_await io::HttpClient::connect(executor, std::move(url), client_options, deadline);
  if (client.has_error()) co_return client.error();
  io::HttpClientRequest request;
  request.target = path;
  request.fields = options.fields;
  auto sent = co_await (*client)->send(request, deadline);
  if (sent.has_error()) co_return sent.error();
  auto head = co_await (*client)->read_head(deadline);
  if (head.has_error()) co_return head.error();
  if (head->status < 200 || head->status > 299) {
    co_return base::make_error(base::ErrorCode::upstream_failed, "not well");
  }
  co_return std::move(*client);
}

}  // namespace

asio::awaitable<bool> check_health(const HealthProberOptions& options,
                                   asio::any_io_executor executor) {
  if (options.check) {
    const bool alive = co_await options.check(executor, options.timeout);
    co_return alive;
  }
  const base::TimePoint deadline = base::now() + options.timeout;
  auto client = co_await get(options, options.path, executor, deadline);
  co_return client.has_value();
}

std::optional<std::vector<std::string>> models_in(std::string_view body) {
  const auto object = protocol::parse_json_object(body, {});
  if (object.has_error()) return std::nullopt;
  const boost::json::value* const data = object->if_contains("data");
  const boost::json::array* const list = data == nullptr ? nullptr : data->if_array();
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> models;
  for (const boost::json::value& entry : *list) {
    const boost::json::object* const model = entry.if_object();
    const boost::json::value* const id = model == nullptr ? nullptr : model->if_contains("id");
    const boost::json::string* const text = id == nullptr ? nullptr : id->if_string();
    if (text == nullptr || text->empty() || text->size() > model_bytes_max) continue;
    const bool printable = std::all_of(text->begin(), text->end(), [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    });
    if (printable && models.size() < models_max) models.emplace_back(text->data(), text->size());
  }
  std::sort(models.begin(), models.end());
  models.erase(std::unique(models.begin(), models.end()), models.end());
  return models;
}

asio::awaitable<std::optional<std::vector<std::string>>> fetch_models(
    const HealthProberOptions& options, asio::any_io_executor executor) {
  const base::TimePoint deadline = base::now() + options.timeout;
  auto client = co_await get(options, options.models_path, executor, deadline);
  if (client.has_error()) co_return std::nullopt;
  std::string body;
  while (true) {
    auto piece = co_await (*client)->read_piece(deadline);
    if (piece.has_error() || body.size() + piece->size() > models_body_max) co_return std::nullopt;
    if (piece->empty()) break;
    body += *piece;
  }
  co_return models_in(body);
}

asio::awaitable<void> probe_health(const HealthProberOptions& options, BackendHealth& health,
                                   asio::any_io_executor executor) {
  asio::steady_timer timer(executor);
  health.begin_checks(base::now(), base::random_bits());
  base::TimePoint list_at{};
  while (true) {
    timer.expires_at(health.next_check_at());
    auto [stopped] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopped || options.ended) co_return;
    health.check_started();
    const bool alive = co_await check_health(options, executor);
    health.check_finished(alive, base::now(), base::random_bits());
    if (!alive || options.models_path.empty() || base::now() < list_at) continue;
    auto models = co_await fetch_models(options, executor);
    list_at = base::now() + options.models_interval;
    if (models && options.on_models) options.on_models(std::move(*models));
  }
}

}  // namespace deepseek::gateway
