#include "io/guarded_child.hpp"

#include <gtest/gtest.h>

namespace deepseek::io {
namespace {

TEST(GuardedChild, FindsProgramsAsTheShellDoes) {
  EXPECT_EQ(find_program("sh", "/nowhere:/bin"), "/bin/sh");
  EXPECT_EQ(find_program("sh", "/nowhere"), "");
  EXPECT_EQ(find_program("sh", ""), "");
  EXPECT_EQ(find_program("/bin/sh", ""), "/bin/sh");
  EXPECT_EQ(find_program("/bin", ""), "") << "a folder is no program";
  EXPECT_EQ(find_program("/etc/passwd", ""), "") << "nor is a text";
}

}  // namespace
}  // namespace deepseek::io
