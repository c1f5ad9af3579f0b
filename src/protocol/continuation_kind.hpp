// How an upstream is told to continue an assistant's message.
#pragma once

#include <cstdint>

namespace deepseek::protocol {

enum class Continuation : std::uint8_t {
  none,                    // it cannot
  prefix,                  // DeepSeek: "prefix": true in the last message
  continue_final_message,  // vLLM: a field beside add_generation_prompt
  assistant_last,          // llama-server: the assistant's message is the last one
};

}  // namespace deepseek::protocol
