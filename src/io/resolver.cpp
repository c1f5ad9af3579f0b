#include "io/resolver.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <map>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorCode;
using base::Result;
using boost::system::error_code;

namespace {

constexpr std::size_t names_max = 256;  // remembered

// One name that is being looked up, for all who wait for it.
struct Lookup {
  bool running = false;
  error_code failed;
  Resolver::Addresses addresses;  // the last that were found
  base::TimePoint found_at{};
  std::vector<std::weak_ptr<asio::steady_timer>> waiters;
};

}  // namespace

struct Resolver::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor given, base::Milliseconds fresh)
      : executor(std::move(given)), fresh_for(fresh), resolver(executor) {}

  void start(const std::string& key, const HttpUrl& url) {
    names[key].running = true;
    resolver.async_resolve(url.host, std::to_string(url.port),
                           [weak = weak_from_this(), key](
                               error_code failed, const tcp::resolver::results_type& found) {
                             if (const auto self = weak.lock()) self->arrived(key, failed, found);
                           });
  }

  void arrived(const std::string& key, error_code failed,
               const tcp::resolver::results_type& found) {
    Lookup& lookup = names[key];
    lookup.running = false;
    lookup.failed = failed;
    if (!failed && !found.empty()) {
      lookup.addresses.clear();
      for (const auto& entry : found) lookup.addresses.push_back(entry.endpoint());
      lookup.found_at = base::now();
    }
    for (const auto& waiter : std::exchange(lookup.waiters, {})) {
      if (const auto timer = waiter.lock()) timer->cancel();
    }
  }

  asio::any_io_executor executor;
  base::Milliseconds fresh_for;
  tcp::resolver resolver;
  std::map<std::string, Lookup> names;  // by "host:port"
};

Resolver::Resolver(asio::any_io_executor executor, base::Milliseconds fresh_for)
    : state_(std::make_shared<State>(std::move(executor), fresh_for)) {}

Resolver::~Resolver() {
  state_->resolver.cancel();
}

asio::awaitable<Result<Resolver::Addresses>> Resolver::resolve(HttpUrl url,
                                                               base::TimePoint deadline,
                                                               std::shared_ptr<ConnectStop> stop) {
  error_code code;
  const auto numeric = asio::ip::make_address(url.host, code);
  if (!code) co_return Addresses{tcp::endpoint(numeric, url.port)};
  const std::shared_ptr<State> state = state_;
  const std::string key = url.host + ":" + std::to_string(url.port);
  if (state->names.size() >= names_max && !state->names.contains(key)) state->names.clear();
  Lookup& known = state->names[key];
  if (!known.addresses.empty() && base::now() < known.found_at + state->fresh_for) {
    co_return known.addresses;
  }
  if (!known.running) state->start(key, url);
  const auto timer = std::make_shared<asio::steady_timer>(state->executor, deadline);
  bool cancelled = false;
  stop->arm([timer] { timer->cancel(); });
  while (state->names[key].running && base::now() < deadline && !cancelled) {
    state->names[key].waiters.push_back(timer);
    try {
      co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    } catch (const boost::system::system_error&) {
      cancelled = true;
    }
    const auto asked = co_await asio::this_coro::cancellation_state;
    cancelled = cancelled || stop->pulled() || asked.cancelled() != asio::cancellation_type::none;
  }
  stop->arm({});
  if (cancelled) {
    co_return base::make_error(ErrorCode::cancelled,
                               url.authority() + ": connecting was cancelled");
  }
  const Lookup& lookup = state->names[key];
  if (!lookup.addresses.empty()) co_return lookup.addresses;
  if (lookup.running) {
    co_return base::make_error(
        ErrorCode::deadline_exceeded,
        url.authority() + ": looking up " + url.host + " took longer than its deadline");
  }
  co_return base::make_error(
      ErrorCode::unavailable,
      url.authority() + ": no address is known for " + url.host + ": " + lookup.failed.message());
}

}  // namespace deepseek::io
