#include "engine/layout_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>
#include <fstream>

namespace deepseek::engine {
namespace {

MeasuredLayout measured(std::vector<LayoutTiming> timings) {
  return {"q4_1", {1536, 576}, std::move(timings)};
}

LayoutMemory memory() {
  return {"one processor, 2 threads",
          {measured({{1, 10500, 30250}, {8, 40, 200}}), {"q8_0", {64, 32}, {}}},
          {{"small.gguf, 1000 bytes", 420}}};
}

TEST(LayoutChoice, PaysWhereItIsFasterAndNowhereSlower) {
  EXPECT_TRUE(pays(measured({{1, 10, 20}, {96, 100, 100}})));
  EXPECT_TRUE(pays(measured({{1, 10, 20}, {96, 102, 100}}))) << "within what measuring varies";
  EXPECT_FALSE(pays(measured({{1, 10, 20}, {96, 110, 100}})));
  EXPECT_FALSE(pays(measured({{1, 10, 10}, {96, 100, 100}}))) << "then nothing is packed";
  EXPECT_FALSE(pays(measured({}))) << "nothing could be measured";
}

TEST(LayoutMemory, IsReadAsItWasWritten) {
  const auto read = parse_layout_memory(to_text(memory()), memory().machine);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->measured, memory().measured);
  ASSERT_NE(read->find("q4_1", {1536, 576}), nullptr);
  EXPECT_EQ(read->find("q8_0", {1536, 576}), nullptr);
  ASSERT_NE(read->find_loss("small.gguf, 1000 bytes"), nullptr);
  EXPECT_EQ(read->find_loss("small.gguf, 1000 bytes")->per_million, 420);
  EXPECT_EQ(read->find_loss("other.gguf"), nullptr);
}

TEST(LayoutMemory, OfAnotherMachineOrDamagedIsNotUsed) {
  const std::string text = to_text(memory());
  EXPECT_FALSE(parse_layout_memory(text, "another processor").has_value());
  for (std::size_t length = 0; length + 2 < text.size(); ++length) {
    ASSERT_FALSE(parse_layout_memory(text.substr(0, length), memory().machine).has_value());
  }
  std::string changed = text;
  const std::size_t digit = changed.find("1536");
  ASSERT_NE(digit, std::string::npos);
  changed[digit] = '2';
  EXPECT_FALSE(parse_layout_memory(changed, memory().machine).has_value());
  EXPECT_FALSE(parse_layout_memory("[1, 2]", memory().machine).has_value());
}

TEST(LayoutMemory, IsKeptInAFileThatIsReplacedAsAWhole) {
  const std::string folder = testing::TempDir() + "layouts-" + std::to_string(::getpid());
  const std::string file = folder + "/layouts.json";
  EXPECT_TRUE(read_layout_memory(file, memory().machine).measured.empty());
  ASSERT_TRUE(write_layout_memory(file, memory()).has_value());
  EXPECT_EQ(read_layout_memory(file, memory().machine).measured, memory().measured);
  EXPECT_TRUE(read_layout_memory(file, "another").measured.empty());
  std::ofstream(file) << "not JSON";
  EXPECT_TRUE(read_layout_memory(file, memory().machine).measured.empty());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, testing::ElementsAre("layouts.json"));
  std::filesystem::remove_all(folder);
}

TEST(LayoutMemory, IsBounded) {
  LayoutMemory many = memory();
  for (std::int64_t rows = 1; rows < 2000; ++rows) {
    many.measured.push_back({"q8_0", {rows, 32}, {}});
  }
  for (std::int64_t model = 0; model < 500; ++model) {
    many.losses.push_back({"model " + std::to_string(model), model});
  }
  const std::string file = testing::TempDir() + "bounded-" + std::to_string(::getpid());
  ASSERT_TRUE(write_layout_memory(file, many).has_value());
  const LayoutMemory read = read_layout_memory(file, many.machine);
  EXPECT_EQ(read.measured.size(), 512U);
  EXPECT_NE(read.find("q8_0", {1999, 32}), nullptr) << "the newest stay";
  EXPECT_EQ(read.losses.size(), 128U);
  EXPECT_NE(read.find_loss("model 499"), nullptr);
  std::filesystem::remove(file);
}

TEST(LayoutMemory, AFolderThatCannotBeWrittenIsToldOf) {
  const auto result = write_layout_memory("/proc/nowhere/layouts.json", memory());
  ASSERT_TRUE(result.has_error());
  EXPECT_THAT(result.error().message, testing::HasSubstr("/proc/nowhere/layouts.json"));
}

}  // namespace
}  // namespace deepseek::engine
