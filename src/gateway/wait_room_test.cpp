#include "gateway/wait_room.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::gateway {
namespace {

struct WaitRoomTest : testing::Test {
  WaitRoom room{3};
  std::string called;

  WaitRoom::Ticket enter(char name, std::int32_t priority = 0) {
    const auto ticket = room.enter({"t", 1, priority}, [this, name] { called += name; });
    EXPECT_TRUE(ticket);
    return ticket.value_or(0);
  }
};

TEST_F(WaitRoomTest, CallsOneForEachFreePlace) {
  enter('a');
  enter('b');
  EXPECT_TRUE(room.call_one());
  EXPECT_EQ(called, "a");
  EXPECT_TRUE(room.call_one());
  EXPECT_EQ(called, "ab");
  EXPECT_FALSE(room.call_one()) << "both were called already";
  EXPECT_TRUE(room.anyone()) << "and neither has left";
}

TEST_F(WaitRoomTest, WhoCannotUseThePlacePassesItOn) {
  const auto first = enter('a');
  enter('b');
  room.call_one();
  room.pass_on(first);
  EXPECT_EQ(called, "ab");
  room.call_one();
  EXPECT_EQ(called, "aba") << "it kept its position";
}

TEST_F(WaitRoomTest, ACallThatNobodyCanUseEnds) {
  const auto first = enter('a');
  const auto second = enter('b');
  const auto third = enter('c');
  room.call_one();
  for (const auto guest : {first, second, third}) room.pass_on(guest);
  EXPECT_EQ(called, "abc") << "nobody is called twice for one place";
  for (const auto guest : {first, second, third}) room.pass_on(guest);
  EXPECT_EQ(called, "abc") << "only who was called can pass on";
  room.call_one();
  EXPECT_EQ(called, "abca") << "all kept their positions";
  room.pass_on(first);
  room.leave(second);
  EXPECT_EQ(called, "abcab");
  room.call_one();
  EXPECT_EQ(called, "abcaba") << "the second took the place, and another one is free";
}

TEST_F(WaitRoomTest, WhoLeavesIsNotCalled) {
  const auto first = enter('a');
  enter('b');
  room.leave(first);
  room.call_one();
  EXPECT_EQ(called, "b");
  room.pass_on(first);
  EXPECT_EQ(room.depth(), 1u);
}

TEST_F(WaitRoomTest, IsBounded) {
  enter('a');
  enter('b');
  enter('c');
  EXPECT_FALSE(room.enter({"t", 1, 9}, [] {}));
}

TEST_F(WaitRoomTest, PriorityGoesFirst) {
  enter('a');
  enter('b', 1);
  room.call_one();
  EXPECT_EQ(called, "b");
}

}  // namespace
}  // namespace deepseek::gateway
