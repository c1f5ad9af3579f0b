#include "gateway/target.hpp"

#include "gateway/scripted_backend.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

struct TargetTest : ::testing::Test {
  testing::ScriptedBackend backend;
  Target target{TargetOptions{"t"}, backend};
};

TEST_F(TargetTest, TellsWhenItsLastRequestHasEnded) {
  int told = 0;
  target.set_idle_hook([&] { ++told; });
  ASSERT_TRUE(target.enter() && target.enter());
  target.leave();
  EXPECT_EQ(told, 0);
  target.leave();
  EXPECT_EQ(told, 1);
  ASSERT_TRUE(target.enter());
  target.leave();
  EXPECT_EQ(told, 2);
  target.set_idle_hook({});
  ASSERT_TRUE(target.enter());
  target.leave();
  EXPECT_EQ(told, 2);
}

TEST_F(TargetTest, AUseGivesItsPlaceBackOnce) {
  ASSERT_TRUE(target.enter());
  {
    TargetUse use(target, {}, 10, base::now());
    EXPECT_EQ(target.in_flight(), 1u);
    use.succeeded(base::now(), 10);
    EXPECT_EQ(target.in_flight(), 0u);
    use.cancelled(base::now());
  }
  EXPECT_EQ(target.in_flight(), 0u);
}

}  // namespace
}  // namespace deepseek::gateway
