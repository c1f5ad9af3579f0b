#include "base/bounded_queue.hpp"

#include <gtest/gtest.h>
#include <memory>

namespace deepseek::base {
namespace {

TEST(BoundedQueue, KeepsOrderAndRefusesAboveItsBound) {
  BoundedQueue<std::unique_ptr<int>> queue(2);
  EXPECT_TRUE(queue.push(std::make_unique<int>(1)));
  EXPECT_TRUE(queue.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(queue.push(std::move(third)));
  ASSERT_NE(third, nullptr) << "a refused item stays the caller's";
  EXPECT_EQ(queue.depth(), 2u);
  EXPECT_EQ(*queue.front(), 1);
  EXPECT_EQ(**queue.pop(), 1);
  EXPECT_FALSE(queue.full());
  EXPECT_EQ(**queue.pop(), 2);
  EXPECT_FALSE(queue.pop().has_value());
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace deepseek::base
