#include "base/error.hpp"

#include "base/result.hpp"

#include <gtest/gtest.h>
#include <set>
#include <stdexcept>
#include <string>

namespace deepseek::base {
namespace {

TEST(Error, EveryCodeHasARowOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::deadline_exceeded); ++code) {
    const ErrorCodeInfo& row = describe(static_cast<ErrorCode>(code));
    EXPECT_EQ(static_cast<int>(row.code), code) << row.name;
    EXPECT_GE(row.http_status, 400);
    EXPECT_LT(row.http_status, 600);
    EXPECT_FALSE(row.openai_type.empty());
    EXPECT_FALSE(row.anthropic_type.empty());
    EXPECT_GT(row.grpc_code, 0);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(Error, ServerErrorsAreOfOurSide) {
  EXPECT_EQ(describe(ErrorCode::internal).http_status, 500);
  EXPECT_EQ(describe(ErrorCode::unavailable).http_status, 503);
  EXPECT_EQ(describe(ErrorCode::queue_full).http_status, 429);
  EXPECT_EQ(describe(ErrorCode::invalid_request).openai_type, "invalid_request_error");
}

TEST(Result, TheValueOfAFailureThrowsWithItsMessage) {
  const Result<int> failed = make_error(ErrorCode::not_found, "no such thing", "id");
  ASSERT_TRUE(failed.has_error());
  EXPECT_EQ(failed.error().param, "id");
  try {
    (void)failed.value();
    FAIL() << "it did not throw";
  } catch (const std::logic_error& error) {
    EXPECT_NE(std::string(error.what()).find("no such thing"), std::string::npos);
  }
}

}  // namespace
}  // namespace deepseek::base
