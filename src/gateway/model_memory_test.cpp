#include "gateway/model_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ModelMemoryTest : public testing::Test {
 protected:
  std::size_t add(const std::string& name, std::uint64_t bytes) {
    return memory_.add({name, bytes, [this, name] { told_.push_back("load " + name); },
                        [this, name] { told_.push_back("leave " + name); }});
  }
  std::vector<std::string> told() { return std::exchange(told_, {}); }

  ModelMemory memory_{100};
  std::vector<std::string> told_;
};

TEST_F(ModelMemoryTest, ModelsLoadAtOnceWhileThereIsRoom) {
  const auto a = add("a", 40);
  const auto b = add("b", 60);
  memory_.wants(a);
  memory_.wants(b);
  memory_.wants(b);
  EXPECT_THAT(told(), ElementsAre("load a", "load b"));
  EXPECT_EQ(memory_.held(), 100U);
}

TEST_F(ModelMemoryTest, TheLongestUnusedMakesRoom) {
  const auto a = add("a", 40);
  const auto b = add("b", 40);
  const auto c = add("c", 50);
  memory_.wants(a);
  memory_.wants(b);
  memory_.in_use(a, true);
  memory_.in_use(a, false);
  told();
  memory_.wants(c);
  EXPECT_THAT(told(), ElementsAre("leave b")) << "a was used later, and one is enough";
  EXPECT_THAT(memory_.reason(c), HasSubstr("in use by a, b"));
  memory_.gone(b);
  EXPECT_THAT(told(), ElementsAre("load c"));
  EXPECT_EQ(memory_.reason(c), "");
}

TEST_F(ModelMemoryTest, AModelInUseIsNeverAsked) {
  const auto a = add("a", 60);
  const auto b = add("b", 60);
  memory_.wants(a);
  memory_.in_use(a, true);
  told();
  memory_.wants(b);
  EXPECT_THAT(told(), IsEmpty());
  memory_.in_use(a, false);
  EXPECT_THAT(told(), ElementsAre("leave a"));
}

TEST_F(ModelMemoryTest, NobodyLeavesInVain) {
  const auto a = add("a", 60);
  const auto b = add("b", 30);
  const auto c = add("c", 80);
  memory_.wants(a);
  memory_.wants(b);
  memory_.in_use(a, true);
  told();
  memory_.wants(c);
  EXPECT_THAT(told(), IsEmpty()) << "b's 30 would not be enough";
  memory_.in_use(a, false);
  EXPECT_THAT(told(), ElementsAre("leave b", "leave a"));
  memory_.gone(a);
  EXPECT_THAT(told(), IsEmpty()) << "b is still there";
  memory_.gone(b);
  EXPECT_THAT(told(), ElementsAre("load c"));
}

TEST_F(ModelMemoryTest, WhoHasNewWorkStaysAndAnotherIsAsked) {
  const auto a = add("a", 50);
  const auto b = add("b", 50);
  const auto c = add("c", 50);
  memory_.wants(a);
  memory_.wants(b);
  told();
  memory_.wants(c);
  EXPECT_THAT(told(), ElementsAre("leave a"));
  memory_.stays(a);
  EXPECT_THAT(told(), ElementsAre("leave b"));
}

TEST_F(ModelMemoryTest, OneThatIsAloneMayBeLargerThanTheBudget) {
  const auto large = add("large", 500);
  const auto small = add("small", 10);
  memory_.wants(large);
  EXPECT_THAT(told(), ElementsAre("load large"));
  memory_.wants(small);
  EXPECT_THAT(told(), ElementsAre("leave large"));
}

TEST_F(ModelMemoryTest, TheyLoadInTheOrderInWhichTheyWereWanted) {
  const auto a = add("a", 90);
  const auto large = add("large", 80);
  const auto small = add("small", 10);
  memory_.wants(a);
  memory_.in_use(a, true);
  memory_.wants(large);
  memory_.wants(small);
  EXPECT_THAT(told(), ElementsAre("load a")) << "small would fit, but large was first";
  memory_.gone(a);
  EXPECT_THAT(told(), ElementsAre("load large", "load small"));
}

TEST(ModelMemory, WithoutABoundAllAreLoaded) {
  ModelMemory memory(0);
  int loads = 0;
  for (int index = 0; index < 3; ++index) {
    memory.wants(memory.add({"m", 1ULL << 40, [&] { ++loads; }, [] {}}));
  }
  EXPECT_EQ(loads, 3);
}

}  // namespace
}  // namespace deepseek::gateway
