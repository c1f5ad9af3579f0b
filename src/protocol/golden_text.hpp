// For the tests of this room: a text compared with a golden file. With
// DEEPSEEK_UPDATE_GOLDEN=1 in the environment the file is written anew; its difference is then read
// by whoever commits it.
//
// Not linked into any program.
#pragma once

#include <gtest/gtest.h>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace deepseek::protocol::testing {

inline void expect_golden(const std::string& path, const std::string& text) {
  if (std::getenv("DEEPSEEK_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const std::string golden((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text, golden) << path;
}

}  // namespace deepseek::protocol::testing
