#include "base/version.hpp"

namespace deepseek::base {

std::string_view version() {
  return DEEPSEEK_VERSION;
}

std::string_view llama_cpp() {
  return DEEPSEEK_LLAMA_VERSION;
}

}  // namespace deepseek::base
