#include "io/signals.hpp"

#include "io/task_group.hpp"

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <vector>

namespace deepseek::io {
namespace {

boost::asio::awaitable<void> collect(Signals& signals, std::vector<int>& seen, std::size_t count) {
  while (seen.size() < count) {
    const int number = co_await signals.next();
    seen.push_back(number);
  }
}

TEST(Signals, KeepsSignalsUntilTheyAreAskedFor) {
  boost::asio::io_context context;
  Signals signals(context.get_executor());
  TaskGroup group(context.get_executor());
  std::raise(SIGHUP);
  std::vector<int> seen;
  group.spawn("collect", collect(signals, seen, 2));
  while (seen.empty()) context.run_one();
  std::raise(SIGTERM);
  context.run();
  EXPECT_EQ(seen, (std::vector<int>{SIGHUP, SIGTERM}));
}

}  // namespace
}  // namespace deepseek::io
