#include "base/utf8.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::base {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

TEST(Utf8, KnowsWhatIsValid) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("a\xC3\xA4\xE9\x87\x8F\xF0\x9F\x98\x80"));
  for (const char* bad : {"\x80", "\xC0\xAF", "\xC3", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << bad;
  }
}

TEST(Utf8, FindsABadByteAnywhereInLongText) {
  for (const std::string& text : {std::string("0123456789 0123456789"),
                                  std::string("中文字符中文字符"), std::string("a中b文")}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string bad = text;
      bad[i] = '\xFF';
      EXPECT_FALSE(is_valid_utf8(bad)) << text << i;
    }
    EXPECT_FALSE(is_valid_utf8(text + "\xE4\xB8")) << text;
  }
  EXPECT_TRUE(is_valid_utf8("\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF"));
  for (const char* bad : {"\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xBF\xBF", "\xE4\xB8\x41"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << bad;
  }
}

TEST(Utf8, KeepsBackACutCharacterByteByByte) {
  const std::string text = "a\xC3\xA4\xE9\x87\x8F\xF0\x9F\x98\x80z";
  Utf8Assembler assembler;
  std::string joined;
  for (const char byte : text) {
    const std::string piece = assembler.push(std::string_view(&byte, 1));
    EXPECT_TRUE(is_valid_utf8(piece));
    EXPECT_LE(assembler.pending_bytes(), 3u);
    joined += piece;
  }
  EXPECT_EQ(joined + assembler.finish(), text);
}

TEST(Utf8, ReplacesWhatCanNeverBecomeACharacter) {
  Utf8Assembler assembler;
  EXPECT_EQ(assembler.push("a\xFFz"), "a" + std::string(replacement) + "z");
  EXPECT_EQ(assembler.push("\xE9\x87"), "");
  EXPECT_EQ(assembler.push("x"), std::string(replacement) + "x");
  EXPECT_EQ(assembler.push("\xF0\x9F"), "");
  EXPECT_EQ(assembler.finish(), replacement);
  EXPECT_EQ(assembler.finish(), "");
}

}  // namespace
}  // namespace deepseek::base
