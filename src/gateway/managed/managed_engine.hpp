// The programs whose flags managed_command knows.
#pragma once

#include <cstdint>

namespace deepseek::gateway {

enum class ManagedEngine : std::uint8_t {
  none,  // any other program: its whole command is configured
  vllm,
  sglang,
  llama_server,
};

}  // namespace deepseek::gateway
