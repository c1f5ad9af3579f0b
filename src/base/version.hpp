// The version of this build, the same in all programs. Pure.
#pragma once

#include <string_view>

namespace deepseek::base {

std::string_view version();    // as "0.1.0"; project() of CMakeLists.txt has it
std::string_view llama_cpp();  // the release of llama.cpp that was built, or "another tree"

}  // namespace deepseek::base
