// The short run of deepseek-engine that looks at a model file before the server listens.
//
// Blocks the calling thread: for start-up and reload checks only, never on an I/O thread. It loads
// no weights.
#pragma once

#include "base/result.hpp"
#include "gateway/engine_launcher.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace deepseek::gateway {

struct ModelCheck {
  std::string facts;               // one line of JSON
  std::uint64_t memory_bytes = 0;  // of weights and KV pool
};

// The facts, or `invalid_request` with the engine's one clear line (which file,
// which byte or field, what to do). `deadline_exceeded` when the check does not end in time.
base::Result<ModelCheck> check_model(
    const EngineCommand& command,
    std::chrono::milliseconds timeout = std::chrono::milliseconds(20'000));

}  // namespace deepseek::gateway
