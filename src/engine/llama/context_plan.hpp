// Sizes of a model's context: how many KV cells, which batch, how many threads.
//
// Pure arithmetic over the model's facts and the options.
#pragma once

#include "engine/engine_options.hpp"
#include "engine/llama/context.hpp"
#include "engine/llama/model.hpp"

namespace deepseek::engine::llama {

struct ContextPlan {
  ContextOptions context;
  std::int32_t context_max = 0;  // tokens one sequence may have
  std::uint64_t kv_bytes = 0;
};

// The pool has what --kv-bytes pays for, at least one full context and at most one for every
// sequence.
ContextPlan plan_context(const Model& model, const EngineOptions& options, std::int32_t cores);
SchedulerOptions scheduler_options(const EngineOptions& options, const ContextPlan& plan);

}  // namespace deepseek::engine::llama
