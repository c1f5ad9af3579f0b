// Sizes of a model's context: how many KV cells, which batch, how many threads.
//
// Pure arithmetic over the model's facts and the options.
#pragma once

#include "engine/engine_options.hpp"
#include "engine/llama/context.hpp"
#include "engine/llama/model.hpp"
#include "engine/machine.hpp"

#include <optional>

namespace deepseek::engine::llama {

struct ContextPlan {
  ContextOptions context;
  AttentionWindow window;
  std::int32_t context_max = 0;  // tokens one sequence may have
  std::uint64_t kv_bytes = 0;
  std::uint64_t state_bytes = 0;  // of prefixes in memory whose cells were given up
  bool shares_prefixes = true;
  bool cut_by_memory = false;  // --kv-bytes allows more than this machine has left
};

// Beside weights and KV: vocabulary, compute buffers, the program itself.
inline constexpr std::uint64_t kOverheadBytes = 64U << 20U;

// What the pool may take of a machine with that much memory left before the weights are loaded.
// Nothing is known where a GPU holds the weights.
std::optional<std::uint64_t> pool_room(const Model& model, const EngineOptions& options,
                                       const MemoryLimits& memory);

// The pool has what --kv-bytes pays for, no more than `room`, at least one full context and at most
// one for every sequence.
ContextPlan plan_context(const Model& model, const EngineOptions& options, std::int32_t cores,
                         std::optional<std::uint64_t> room);
SchedulerOptions scheduler_options(const EngineOptions& options, const ContextPlan& plan);

}  // namespace deepseek::engine::llama
