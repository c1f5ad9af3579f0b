// What is wrong with the tools of a request, said before its prompt is made.
//
// Pure. Refusals name the client's field: OpenAI's and DeepSeek's form, which others are turned
// into.
#pragma once

#include "base/result.hpp"

#include "deepseek/engine/v1/engine.pb.h"

#include <cstddef>

namespace deepseek::engine {

// Names are [a-zA-Z0-9_-]{1,64} and differ; schemas are objects; the choice names one that is
// there; and the arguments of earlier calls are JSON.
base::Result<void> check_tools(const deepseek::engine::v1::Chat& chat);

// Bytes of the prompt that come from tools and from calls of them.
std::size_t tool_bytes(const deepseek::engine::v1::Chat& chat);

}  // namespace deepseek::engine
