// Thread per core: one io_context and one thread each. A connection lives on one of them for its
// whole life.
//
// Owned by main(). start() makes the threads, stop() (any thread) makes run() return everywhere,
// the destructor joins.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <vector>

namespace deepseek::io {

class IoThreads {
 public:
  explicit IoThreads(std::size_t count);  // ≥ 1
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  void start();
  void stop();  // contexts stop at once; call it after every TaskGroup was stopped
  void join();

  // Which of the threads the caller is; 0 for any other thread.
  static std::size_t current();

  std::size_t size() const;
  boost::asio::io_context& context(std::size_t index);

 private:
  struct Thread;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace deepseek::io
