// The responses that clients may go on from, kept in a SQLite file.
//
// Owned by main(); any thread may use it. All work on the file is done by one thread of its own, in
// the order in which it was asked for; who asks waits for it with a bound, so that a disk that
// hangs holds up nobody for long. What put() says is kept has been committed. Made after the I/O
// threads and outlives every request.
#pragma once

#include "base/log.hpp"
#include "gateway/responses/response_repository.hpp"
#include "io/io_threads.hpp"

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {

class ResponseStore {
 public:
  struct Options {
    storage::DatabaseOptions database;
    ResponseRepository::Limits limits;
    std::size_t waiting_max = 1024;             // calls that wait for the thread
    std::size_t waiting_bytes_max = 64 << 20;   // of responses in them
    std::chrono::milliseconds wait_max{5'000};  // for one call
    std::chrono::milliseconds sweep{60'000};    // between two looks for what is too old
  };
  // Opens the file and starts the thread. A file that cannot be used is an error of start-up.
  static base::Result<std::unique_ptr<ResponseStore>> open(const Options& options,
                                                           base::Logger logger);
  ~ResponseStore();
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  // As the repository's functions of these names; unavailable when the file fails, too much waits,
  // or it takes too long. A put that took too long may be kept nevertheless.
  boost::asio::awaitable<base::Result<void>> put(StoredResponse response);
  boost::asio::awaitable<base::Result<std::optional<std::string>>> find(std::string tenant,
                                                                        std::string id);
  boost::asio::awaitable<base::Result<std::vector<ResponseLink>>> chain(std::string tenant,
                                                                        std::string id,
                                                                        ChainBounds bounds);
  boost::asio::awaitable<base::Result<bool>> erase(std::string tenant, std::string id);

  struct Figures {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    // Since the start.
    std::uint64_t stored = 0;
    std::uint64_t evicted = 0;  // for want of room
    std::uint64_t expired = 0;
    std::uint64_t refused = 0;   // not kept: over a limit, or too much waited
    std::uint64_t failures = 0;  // of the file
  };
  Figures figures() const;

 private:
  ResponseStore(const Options& options, base::Logger logger, ResponseRepository repository);
  // `work` runs on the thread.
  template <class T>
  boost::asio::awaitable<base::Result<T>> ask(std::size_t bytes,
                                              std::function<base::Result<T>()> work);
  bool take_place(std::size_t bytes);
  void give_place(std::size_t bytes);
  // On the thread.
  void note(const base::Error& error);
  void count();
  void sweep();

  const Options options_;
  const base::Logger logger_;
  ResponseRepository repository_;  // the thread's alone, as are the next two
  base::LogLimit log_limit_{1};
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::size_t> waiting_bytes_{0};
  std::atomic<std::uint64_t> rows_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> stored_{0};
  std::atomic<std::uint64_t> evicted_{0};
  std::atomic<std::uint64_t> expired_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> failures_{0};
  io::IoThreads thread_{1};
  boost::asio::steady_timer sweep_timer_{thread_.context(0)};
};

}  // namespace deepseek::gateway
