#include "io/task_group.hpp"

#include "io/event.hpp"

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <stdexcept>
#include <string>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> wait_for_ever(int& ended) {
  struct Count {
    int& number;
    ~Count() { ++number; }
  } count{ended};
  asio::steady_timer timer(co_await asio::this_coro::executor,
                           asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> wait_for(Event& event, bool& flag, int& ended) {
  while (!flag) {
    co_await event.wait();
  }
  ++ended;
}

asio::awaitable<void> throw_error() {
  throw std::runtime_error("broken");
  co_return;
}

asio::awaitable<void> stop_group(TaskGroup& group, bool& stopped) {
  co_await group.stop();
  stopped = true;
}

asio::awaitable<void> join_group(TaskGroup& group, bool& joined) {
  co_await group.join();
  joined = true;
}

TEST(TaskGroup, StopCancelsEveryTaskAndWaits) {
  asio::io_context context;
  std::string reported;
  TaskGroup group(context.get_executor(),
                  [&](std::string_view, std::string_view what) { reported = what; });
  TaskGroup outer(context.get_executor());
  int ended = 0;
  bool stopped = false;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(group.spawn("wait", wait_for_ever(ended)));
  context.poll();
  EXPECT_EQ(group.size(), 5u);
  outer.spawn("stop", stop_group(group, stopped));
  context.restart();
  context.run();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(ended, 5);
  EXPECT_EQ(group.size(), 0u);
  EXPECT_EQ(reported, "") << "a cancelled task is not an error";
  EXPECT_FALSE(group.spawn("late", wait_for_ever(ended)));
}

TEST(TaskGroup, StopBeforeATaskRanAtAll) {
  asio::io_context context;
  TaskGroup group(context.get_executor());
  TaskGroup outer(context.get_executor());
  int ended = 0;
  bool stopped = false;
  outer.spawn("stop", stop_group(group, stopped));
  group.spawn("wait", wait_for_ever(ended));
  context.run();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(group.size(), 0u);
}

TEST(TaskGroup, JoinWaitsWithoutCancelling) {
  asio::io_context context;
  TaskGroup group(context.get_executor());
  TaskGroup outer(context.get_executor());
  Event event(context.get_executor());
  bool flag = false;
  bool joined = false;
  int ended = 0;
  group.spawn("wait", wait_for(event, flag, ended));
  outer.spawn("join", join_group(group, joined));
  context.poll();
  EXPECT_FALSE(joined);
  flag = true;
  event.notify();
  context.run();
  EXPECT_TRUE(joined);
  EXPECT_EQ(ended, 1);
}

TEST(TaskGroup, ReportsWhatATaskThrew) {
  asio::io_context context;
  std::string reported;
  TaskGroup group(context.get_executor(), [&](std::string_view task, std::string_view what) {
    reported = std::string(task) + ": " + std::string(what);
  });
  group.spawn("thrower", throw_error());
  context.run();
  EXPECT_EQ(reported, "thrower: broken");
  EXPECT_EQ(group.size(), 0u);
}

}  // namespace
}  // namespace deepseek::io
