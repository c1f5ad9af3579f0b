// `deepseek-engine --check`: says whether a model file can be loaded here, before anybody waits.
//
// A short-lived process's work. The header is read by our own bounded reader before ggml sees it.
#pragma once

#include "base/result.hpp"
#include "engine/engine_options.hpp"
#include "engine/machine.hpp"

#include <string>

namespace deepseek::engine::llama {

// One line of JSON with the file's facts. An error says which file, which byte or field, and what
// to do. `memory` is what this machine has left.
base::Result<std::string> check_model(const EngineOptions& options, const MemoryLimits& memory);

}  // namespace deepseek::engine::llama
