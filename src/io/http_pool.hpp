// Connections to one server that are kept for the next request.
//
// Belongs to one I/O thread; every call and every connection lives there. A kept connection that
// the server ends is dropped at once. It retries nothing: a failure of a kept connection
// before the first byte may mean no more than that the server was just closing it.
#pragma once

#include "io/http_client.hpp"

#include <cstddef>
#include <list>
#include <memory>

namespace deepseek::io {

class HttpPool {
 public:
  struct Limits {
    std::size_t idle_max = 256;               // kept connections
    base::Milliseconds idle_timeout{60'000};  // an older one is not used again
  };

  HttpPool(boost::asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
           Limits limits);
  ~HttpPool();
  HttpPool(const HttpPool&) = delete;
  HttpPool& operator=(const HttpPool&) = delete;

  // The connection that was used last, at once, or nothing.
  std::unique_ptr<HttpClient> take_kept();
  // A new connection. Errors as HttpClient::connect().
  boost::asio::awaitable<base::Result<std::unique_ptr<HttpClient>>> connect(
      base::TimePoint deadline, std::shared_ptr<ConnectStop> stop = nullptr);
  // Keeps it if it may be used again, else closes it.
  void give_back(std::unique_ptr<HttpClient> client);
  // The same for one whose answer has said all that it means, while its last bytes (the end of the
  // chunks, mostly) may still be on their way: they are awaited for a moment.
  void give_back_soon(std::unique_ptr<HttpClient> client);

  std::size_t kept() const { return kept_.size(); }
  std::size_t ending() const { return ending_.size(); }
  void drop_kept() { kept_.clear(); }

 private:
  struct Kept {
    std::unique_ptr<HttpClient> client;
    base::TimePoint since;
  };
  void drop_old(base::TimePoint now);
  void settle(base::TimePoint now);
  static void watch(std::list<Kept>& list);

  boost::asio::any_io_executor executor_;
  HttpUrl url_;
  HttpClientOptions options_;
  Limits limits_;
  Resolver resolver_;
  std::list<Kept> kept_;    // the one used last at the end
  std::list<Kept> ending_;  // answers whose last bytes are awaited
};

}  // namespace deepseek::io
