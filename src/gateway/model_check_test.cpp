#include "gateway/model_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

namespace deepseek::gateway {
namespace {

using ::testing::HasSubstr;

// A script in the place of deepseek-engine.
class ModelCheckTest : public ::testing::Test {
 protected:
  ModelCheckTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "model-check-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    command_.program = folder_ / "engine";
    command_.model_path = "/models/m.gguf";
  }
  ~ModelCheckTest() override { std::filesystem::remove_all(folder_); }

  base::Result<ModelCheck> check(const std::string& script,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    std::ofstream(command_.program) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(command_.program, std::filesystem::perms::owner_all);
    return check_model(command_, timeout);
  }

  std::filesystem::path folder_;
  EngineCommand command_;
};

TEST_F(ModelCheckTest, ReturnsTheFacts) {
  const auto facts = check("echo noise >&2; echo '{\"a\": 1}'");
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_EQ(facts->facts, "{\"a\": 1}");
  EXPECT_EQ(facts->memory_bytes, 0U);
}

TEST_F(ModelCheckTest, CountsTheMemoryOfWeightsAndCache) {
  const auto facts = check("echo '{\"model_bytes\": 3000000000, \"kv_bytes\": 50.0}'");
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_EQ(facts->memory_bytes, 3'000'000'050U);
}

TEST_F(ModelCheckTest, PassesTheModelAndAsksForACheck) {
  const auto facts = check("echo \"$@\"");
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_THAT(facts->facts, HasSubstr("--model /models/m.gguf "));
  EXPECT_THAT(facts->facts, HasSubstr(" --check"));
}

TEST_F(ModelCheckTest, ReturnsTheOneClearLine) {
  const auto facts = check("echo noise >&2; echo 'deepseek-engine: byte 0 is bad' >&2; exit 2");
  ASSERT_TRUE(facts.has_error());
  EXPECT_EQ(facts.error().message, "byte 0 is bad");
  EXPECT_EQ(facts.error().code, base::ErrorCode::invalid_request);
}

TEST_F(ModelCheckTest, ACrashIsSaidToBeOne) {
  const auto facts = check("kill -9 $$");
  ASSERT_TRUE(facts.has_error());
  EXPECT_THAT(facts.error().message, HasSubstr("killed by signal 9"));
}

TEST_F(ModelCheckTest, DoesNotWaitForEver) {
  const auto facts = check("while :; do sleep 1; done", std::chrono::milliseconds(50));
  ASSERT_TRUE(facts.has_error());
  EXPECT_EQ(facts.error().code, base::ErrorCode::deadline_exceeded);
}

TEST_F(ModelCheckTest, NamesAMissingProgram) {
  const auto facts = check_model(command_);
  ASSERT_TRUE(facts.has_error());
  EXPECT_THAT(facts.error().message, HasSubstr(command_.program));
}

}  // namespace
}  // namespace deepseek::gateway
