#include "base/byte_scan.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::base {
namespace {

TEST(FindControl, FindsEveryControlCharacterAtEveryPlace) {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'a');
        text[place] = static_cast<char>(byte);
        const bool control = byte < 0x20 || byte == 0x7F;
        ASSERT_EQ(find_control(text), control ? place : size) << size << " " << byte;
      }
    }
  }
}

TEST(FindControl, FindsTheFirstBehindFrom) {
  const std::string text = "a\tb\nc" + std::string(30, 'x') + "\x7F";
  EXPECT_EQ(find_control(text), 1u);
  EXPECT_EQ(find_control(text, 2), 3u);
  EXPECT_EQ(find_control(text, 4), text.size() - 1);
  EXPECT_EQ(find_control(text, text.size()), text.size());
  EXPECT_EQ(find_control(""), 0u);
}

}  // namespace
}  // namespace deepseek::base
