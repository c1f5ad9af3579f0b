#include "gateway/responses/response_store.hpp"

#include "base/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::int64_t sweep_chains_max = 256;  // at once, so that others come to their turn

// What the caller and the thread share; whoever is last drops it.
template <class T>
struct Asked {
  explicit Asked(const asio::any_io_executor& executor) : bell(executor) {}
  asio::steady_timer bell;
  std::optional<base::Result<T>> result;
};

base::Error busy(std::string_view why) {
  return base::make_error(ErrorCode::unavailable,
                          "the store of responses " + std::string(why) + "; try again");
}

}  // namespace

base::Result<std::unique_ptr<ResponseStore>> ResponseStore::open(const Options& options,
                                                                 base::Logger logger) {
  auto repository = ResponseRepository::open(options.database, options.limits);
  if (!repository) return repository.error();
  return std::unique_ptr<ResponseStore>(new ResponseStore(options, logger, std::move(*repository)));
}

ResponseStore::ResponseStore(const Options& options, base::Logger logger,
                             ResponseRepository repository)
    : options_(options), logger_(logger), repository_(std::move(repository)) {
  count();
  asio::post(thread_.context(0), [this] { sweep(); });
  thread_.start();
}

ResponseStore::~ResponseStore() {
  thread_.stop();
  thread_.join();
}

bool ResponseStore::take_place(std::size_t bytes) {
  const std::size_t calls = waiting_.fetch_add(1) + 1;
  const std::size_t all = waiting_bytes_.fetch_add(bytes) + bytes;
  if (calls <= options_.waiting_max && all <= options_.waiting_bytes_max) return true;
  give_place(bytes);
  return false;
}

void ResponseStore::give_place(std::size_t bytes) {
  waiting_.fetch_sub(1);
  waiting_bytes_.fetch_sub(bytes);
}

template <class T>
asio::awaitable<base::Result<T>> ResponseStore::ask(std::size_t bytes,
                                                    std::function<base::Result<T>()> work) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  if (!take_place(bytes)) {
    if (bytes > 0) ++refused_;
    co_return busy("has too much to do");
  }
  const auto asked = std::make_shared<Asked<T>>(executor);
  asked->bell.expires_after(options_.wait_max);
  asio::post(thread_.context(0),
             [this, mine = asked, executor, bytes, work = std::move(work)]() mutable {
               base::Result<T> result = work();
               if (result.has_error()) note(result.error());
               give_place(bytes);
               asio::post(executor, [mine = std::move(mine), result = std::move(result)]() mutable {
                 mine->result.emplace(std::move(result));
                 mine->bell.cancel();
               });
             });
  [[maybe_unused]] auto rung = co_await asked->bell.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!asked->result) co_return busy("took too long");
  co_return std::move(*asked->result);
}

asio::awaitable<base::Result<void>> ResponseStore::put(StoredResponse response) {
  const std::size_t bytes = response.input.size() + response.text.size();
  response.now_ms = base::unix_milliseconds();
  std::function<base::Result<void>()> work = [this, response = std::move(response)] {
    auto done = repository_.put(response);
    if (done) ++stored_;
    count();
    return done;
  };
  auto done = co_await ask(bytes, std::move(work));
  co_return done;
}

asio::awaitable<base::Result<std::optional<std::string>>> ResponseStore::find(std::string tenant,
                                                                              std::string id) {
  std::function<base::Result<std::optional<std::string>>()> work =
      [this, tenant = std::move(tenant), id = std::move(id)] {
        return repository_.find(tenant, id, base::unix_milliseconds());
      };
  auto found = co_await ask(0, std::move(work));
  co_return found;
}

asio::awaitable<base::Result<std::vector<ResponseLink>>> ResponseStore::chain(std::string tenant,
                                                                              std::string id,
                                                                              ChainBounds bounds) {
  std::function<base::Result<std::vector<ResponseLink>>()> work = [this, tenant = std::move(tenant),
                                                                   id = std::move(id), bounds] {
    return repository_.chain(tenant, id, base::unix_milliseconds(), bounds);
  };
  auto found = co_await ask(0, std::move(work));
  co_return found;
}

asio::awaitable<base::Result<bool>> ResponseStore::erase(std::string tenant, std::string id) {
  std::function<base::Result<bool>()> work = [this, tenant = std::move(tenant),
                                              id = std::move(id)] {
    auto erased = repository_.erase(tenant, id, base::unix_milliseconds());
    count();
    return erased;
  };
  auto erased = co_await ask(0, std::move(work));
  co_return erased;
}

ResponseStore::Figures ResponseStore::figures() const {
  return {rows_, bytes_, stored_, evicted_, expired_, refused_, failures_};
}

// --- the thread -------------------------------------------------------------

// Refusals are the client's business; failures of the file are the operator's.
void ResponseStore::note(const base::Error& error) {
  if (error.code == ErrorCode::payload_too_large) ++refused_;
  const bool of_client = error.code == ErrorCode::payload_too_large ||
                         error.code == ErrorCode::not_found ||
                         error.code == ErrorCode::invalid_request;
  if (of_client) return;
  ++failures_;
  std::int64_t suppressed = 0;
  if (log_limit_.allow(base::now(), suppressed)) {
    logger_.error("the file of responses fails; answers are given, but not kept",
                  {{"error", error.message}, {"suppressed", suppressed}});
  }
}

void ResponseStore::count() {
  evicted_ = repository_.evicted();
  const auto size = repository_.size();
  if (!size) return note(size.error());
  rows_ = static_cast<std::uint64_t>(size->rows);
  bytes_ = static_cast<std::uint64_t>(size->bytes);
}

void ResponseStore::sweep() {
  const auto removed = repository_.remove_expired(base::unix_milliseconds(), sweep_chains_max);
  if (removed) {
    expired_ += static_cast<std::uint64_t>(*removed);
  } else {
    note(removed.error());
  }
  if (removed && *removed > 0) count();
  const bool more = removed && *removed >= sweep_chains_max;
  sweep_timer_.expires_after(more ? std::chrono::milliseconds(0) : options_.sweep);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
}

}  // namespace deepseek::gateway
