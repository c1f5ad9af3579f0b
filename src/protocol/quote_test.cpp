#include "protocol/quote.hpp"

#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

TEST(Quote, is_bounded_printable_and_whole) {
  EXPECT_EQ(quote_value("a\"b\n"), "\"a\\\"b\\n\"");
  EXPECT_EQ(quote_value(std::string(64, 'a')), "\"" + std::string(64, 'a').substr(0, 64) + "\"");
  EXPECT_EQ(quote_value(std::string(70, 'a')), "\"" + std::string(64, 'a') + "…\"");
  std::string chinese;
  for (int i = 0; i < 1000; ++i) chinese += "解";
  EXPECT_TRUE(base::is_valid_utf8(quote_value(chinese)));
  EXPECT_LE(quote_value(chinese).size(), 64U * 3 + 8);
  EXPECT_TRUE(base::is_valid_utf8(quote_value("\xFF\xE4")));
}

TEST(Redact, masks_what_looks_like_a_secret) {
  EXPECT_EQ(redact("key sk-abcdef123456 x"), "key sk-*** x");
  EXPECT_EQ(redact("Authorization: Bearer abc.def-ghi"), "Authorization: Bearer ***");
  EXPECT_EQ(redact("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln"), "eyJ***");
  EXPECT_EQ(redact("0123456789abcdef0123456789abcdef"), "***");
  EXPECT_EQ(redact("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B-Instruct and smollm2-135m-instruct"),
            "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B-Instruct and smollm2-135m-instruct");
}

TEST(Utf8Prefix, never_cuts_a_character) {
  EXPECT_EQ(utf8_prefix("a解b", 2), "a");
  EXPECT_EQ(utf8_prefix("a解b", 4), "a解");
  EXPECT_EQ(utf8_prefix("abc", 9), "abc");
}

}  // namespace
}  // namespace deepseek::protocol
