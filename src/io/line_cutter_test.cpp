#include "io/line_cutter.hpp"

#include <gmock/gmock.h>

namespace deepseek::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LineCutter, CutsAtNewlinesAndCarriageReturns) {
  LineCutter cutter(100);
  EXPECT_THAT(cutter.push("one\ntw"), ElementsAre("one"));
  EXPECT_THAT(cutter.push("o\r\n\n  \n10 %\r20 %\rrest"), ElementsAre("two", "10 %", "20 %"));
  EXPECT_EQ(cutter.finish(), "rest");
  EXPECT_EQ(cutter.finish(), "");
}

TEST(LineCutter, ALongLineIsBounded) {
  LineCutter cutter(5);
  EXPECT_THAT(cutter.push(std::string(1'000'000, 'x')), IsEmpty());
  EXPECT_THAT(cutter.push("y\n12345\n123456\n"), ElementsAre("xxxxx…", "12345", "12345…"));
  EXPECT_THAT(cutter.push("abcd\xe4\xb8\xad\n"), ElementsAre("abcd…")) << "no half character";
}

TEST(LineCutter, NoColoursNoControlCharactersNoBrokenText) {
  LineCutter cutter(100);
  EXPECT_THAT(cutter.push("\x1b[1;31mred\x1b[0m\tend\a\n"), ElementsAre("red end"));
  EXPECT_THAT(cutter.push("a\xff"
                          "b\n\x1b[3"),
              ElementsAre("a\xef\xbf\xbd"
                          "b"));
  EXPECT_THAT(cutter.push("1mstill red\n"), ElementsAre("still red"));
}

}  // namespace
}  // namespace deepseek::io
