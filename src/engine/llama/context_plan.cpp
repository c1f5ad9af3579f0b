#include "engine/llama/context_plan.hpp"

#include <algorithm>

namespace deepseek::engine::llama {
namespace {

// Sequences that llama.cpp may keep, those at rest included: it has no more than 256.
constexpr std::int32_t kSlotsMin = 64;
constexpr std::int32_t kSlotsMax = 256;
constexpr std::uint64_t kStateBytesMin = 64ULL << 20;
constexpr std::int64_t kCellsStep = 256;  // llama.cpp rounds the pool up to it

std::int64_t round_up(std::int64_t value) {
  return (value + kCellsStep - 1) / kCellsStep * kCellsStep;
}

CacheType cache_type(const std::string& name) {
  if (name == "q8_0") return CacheType::q8_0;
  return name == "q4_0" ? CacheType::q4_0 : CacheType::f16;
}

PrefixSharing prefix_sharing(const std::string& name) {
  if (name == "none") return PrefixSharing::none;
  if (name == "tenant") return PrefixSharing::tenant;
  return name == "all" ? PrefixSharing::all : PrefixSharing::user;
}

FlashAttention flash_attention(const std::string& name) {
  if (name == "on") return FlashAttention::on;
  return name == "off" ? FlashAttention::off : FlashAttention::automatic;
}

// With what it drops at a time it must fit into what the model was trained for.
AttentionWindow attention_window(const EngineOptions& options, std::int32_t train) {
  AttentionWindow window;
  window.sinks = options.attention_sinks;
  window.tokens = options.attention_window;
  while (window.on() && window.cells_max() > train) window.tokens -= window.cells_max() - train;
  window.tokens = std::max(window.tokens, 0);
  return window;
}

}  // namespace

std::optional<std::uint64_t> pool_room(const Model& model, const EngineOptions& options,
                                       const MemoryLimits& memory) {
  constexpr std::uint64_t kShare = 90;  // percent; others use this machine too
  const bool on_gpu = model.facts().has_gpu && options.gpu_layers != 0;
  if (on_gpu || memory.available == 0) return std::nullopt;
  const std::uint64_t taken = model.facts().bytes + kOverheadBytes;
  return (memory.available - std::min(memory.available, taken)) / 100 * kShare;
}

ContextPlan plan_context(const Model& model, const EngineOptions& options, std::int32_t cores,
                         std::optional<std::uint64_t> room) {
  ContextPlan plan;
  plan.shares_prefixes = !model.facts().recurrent;
  const std::int32_t train = std::max(model.facts().context_train, 1);
  plan.window = attention_window(options, train);
  plan.context_max = options.context_max > 0 ? options.context_max : train;
  if (!plan.window.on()) plan.context_max = std::min(plan.context_max, train);
  ContextOptions& context = plan.context;
  context.cache_type = cache_type(options.kv_type);
  context.flash_attention = flash_attention(options.flash_attention);
  const double cell =
      model.cell_bytes(value_bytes(context.cache_type), value_bytes(context.cache_type));
  const std::int64_t one = round_up(
      plan.window.on() ? std::min(plan.context_max, plan.window.cells_max()) : plan.context_max);
  const auto cells_of = [cell](std::uint64_t bytes) {
    return static_cast<std::int64_t>(static_cast<double>(bytes) / std::max(cell, 1.0)) /
           kCellsStep * kCellsStep;
  };
  const std::int64_t most = std::min<std::int64_t>(one * options.sequences_max, 1 << 30);
  const std::int64_t wanted = std::clamp(cells_of(options.kv_bytes), one, std::max(one, most));
  const std::int64_t cells = room ? std::clamp(cells_of(*room), one, wanted) : wanted;
  plan.cut_by_memory = cells < wanted;
  context.cells = static_cast<std::int32_t>(cells);
  context.sequences_max = options.sequences_max;
  context.slots = std::clamp(4 * options.sequences_max, kSlotsMin, kSlotsMax);
  context.step_tokens_max = std::max(options.step_tokens_max, options.sequences_max);
  context.micro_batch = options.micro_batch;
  context.threads = options.threads > 0 ? options.threads : cores;
  context.threads_prefill = options.threads_prefill > 0 ? options.threads_prefill : context.threads;
  plan.kv_bytes = static_cast<std::uint64_t>(cell * context.cells);
  plan.state_bytes = options.state_bytes;
  if (room)
    plan.state_bytes = std::min(plan.state_bytes, (*room - std::min(*room, plan.kv_bytes)) / 2);
  // What comes from disk goes through memory.
  if (!options.cache_dir.empty()) plan.state_bytes = std::max(plan.state_bytes, kStateBytesMin);
  return plan;
}

SchedulerOptions scheduler_options(const EngineOptions& options, const ContextPlan& plan) {
  SchedulerOptions scheduler;
  scheduler.sequences_max = plan.context.sequences_max;
  scheduler.queue_max = options.queue_max;
  scheduler.cells = plan.context.cells;
  scheduler.context_max = plan.context_max;
  scheduler.step_tokens_max = plan.context.step_tokens_max;
  scheduler.slots = plan.context.slots;
  scheduler.prefill_chunk = options.prefill_chunk;
  scheduler.target_token_gap = base::Milliseconds(options.token_gap_ms);
  scheduler.batch_min = options.batch_min;
  scheduler.batch_wait = base::Milliseconds(options.batch_wait_ms);
  // A model that keeps one state for all its past cannot take a guess back.
  scheduler.draft_max = plan.shares_prefixes ? options.draft_max : 0;
  scheduler.outputs_max = plan.context.slots;
  scheduler.window = plan.window;
  scheduler.sharing =
      plan.shares_prefixes ? prefix_sharing(options.prefix_sharing) : PrefixSharing::none;
  return scheduler;
}

}  // namespace deepseek::engine::llama
