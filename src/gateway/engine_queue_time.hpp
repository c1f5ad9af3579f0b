// How long a new prompt would wait for its first token in an engine's queue.
//
// Pure. As honest as what the engine has measured: 0 from one that has measured nothing.
#pragma once

#include "base/clock.hpp"
#include "gateway/engine_backend.hpp"

#include <cstdint>

namespace deepseek::gateway {

// `live`: sequences of ours that have not ended. Those that the engine's last word does not count
// yet are taken to have prompts like this one, or a burst would find the queue empty every time.
base::Milliseconds engine_queue_time(const EngineLoadFigures& load, std::int32_t sequences_max,
                                     std::int32_t live, std::int64_t prompt_tokens);

}  // namespace deepseek::gateway
