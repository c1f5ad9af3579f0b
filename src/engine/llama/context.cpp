#include "engine/llama/context.hpp"

#include "engine/llama/log_bridge.hpp"

#include <llama.h>
#include <algorithm>
#include <utility>
#include <vector>

namespace deepseek::engine::llama {
namespace {

ggml_type ggml_type_of(CacheType type) {
  switch (type) {
    case CacheType::f16:
      return GGML_TYPE_F16;
    case CacheType::q8_0:
      return GGML_TYPE_Q8_0;
    case CacheType::q4_0:
      return GGML_TYPE_Q4_0;
  }
  return GGML_TYPE_F16;
}

llama_context_params make_params(const ContextOptions& options) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.cells);
  params.n_batch = static_cast<std::uint32_t>(options.step_tokens_max);
  params.n_ubatch =
      static_cast<std::uint32_t>(std::min(options.micro_batch, options.step_tokens_max));
  params.n_seq_max = static_cast<std::uint32_t>(options.slots);
  // llama.cpp wants a row for each sequence; those that are never used cost no memory.
  params.n_outputs_max = static_cast<std::uint32_t>(options.slots);
  params.n_threads = options.threads;
  params.n_threads_batch = options.threads_prefill;
  params.type_k = ggml_type_of(options.cache_type);
  params.type_v = ggml_type_of(options.cache_type);
  switch (options.flash_attention) {
    case FlashAttention::automatic:
      params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_AUTO;
      break;
    case FlashAttention::on:
      params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
      break;
    case FlashAttention::off:
      params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
      break;
  }
  params.kv_unified = true;
  params.no_perf = true;
  return params;
}

}  // namespace

double value_bytes(CacheType type) {
  const ggml_type native = ggml_type_of(type);
  return static_cast<double>(ggml_type_size(native)) / static_cast<double>(ggml_blck_size(native));
}

struct Context::Handles {
  llama_context* context = nullptr;
  llama_batch batch{};
  std::int32_t vocabulary = 0;
  std::vector<std::int32_t> output_rows;   // per slice: index in its batch, or -1
  std::vector<std::vector<float>> copied;  // per slice: its logits, if another batch came after

  ~Handles() {
    if (batch.token != nullptr) llama_batch_free(batch);
    if (context != nullptr) llama_free(context);
  }
};

base::Result<std::unique_ptr<Context>> Context::make(const Model& model,
                                                     const ContextOptions& options) {
  clear_errors();
  auto handles = std::make_unique<Handles>();
  handles->context = llama_init_from_model(model.get(), make_params(options));
  if (handles->context == nullptr) {
    return base::make_error(base::ErrorCode::internal, "The model's memory could not be made (" +
                                                           std::to_string(options.cells) +
                                                           " cells): " + last_errors());
  }
  handles->batch = llama_batch_init(options.step_tokens_max, 0, 1);
  handles->vocabulary = model.facts().vocabulary;
  std::unique_ptr<Context> context(new Context(model, std::move(handles)));
  if (!model.facts().recurrent) context->map_.emplace(context->cells_max(), options.slots);
  llama_set_abort_callback(
      context->handles_->context,
      [](void* data) {
        return static_cast<std::atomic<bool>*>(data)->load(std::memory_order_relaxed);
      },
      &context->abort_);
  return context;
}

Context::Context(const Model& model, std::unique_ptr<Handles> handles)
    : model_(model), handles_(std::move(handles)) {}
Context::~Context() = default;

std::int32_t Context::cells_max() const {
  return static_cast<std::int32_t>(llama_n_ctx(handles_->context));
}

base::Result<void> Context::warm_up(std::int32_t rounds) {
  const std::vector<Token> tokens(8, 0);
  for (std::int32_t round = 0; round < rounds; ++round) {
    const BatchSlice prefill{0, 0, tokens, 1};
    const BatchSlice next{0, static_cast<std::int32_t>(tokens.size()), std::span(tokens).first(1),
                          1};
    const bool done = decode({&prefill, 1}) == Outcome::done && decode({&next, 1}) == Outcome::done;
    clear(0);
    if (!done) {
      return base::make_error(base::ErrorCode::internal,
                              "The model could not compute its first tokens: " + last_errors());
    }
  }
  return {};
}

Decoder::Outcome Context::decode(std::span<const BatchSlice> slices) {
  handles_->output_rows.assign(slices.size(), -1);
  handles_->copied.assign(slices.size(), {});
  const std::vector<std::int32_t> adapters = adapters_of(slices);
  for (std::size_t index = 0; index < adapters.size(); ++index) {
    const Outcome outcome = decode_with(adapters[index], slices);
    if (outcome == Outcome::no_room) {
      for (std::size_t before = 0; before < index; ++before) take_back(adapters[before], slices);
    }
    if (outcome != Outcome::done) return outcome;
    if (index + 1 < adapters.size()) copy_logits(adapters[index], slices);
  }
  return Outcome::done;
}

// The one in use comes first, since each change costs llama.cpp a new plan of its memory.
std::vector<std::int32_t> Context::adapters_of(std::span<const BatchSlice> slices) const {
  std::vector<std::int32_t> adapters;
  for (const BatchSlice& slice : slices) adapters.push_back(slice.adapter);
  std::sort(adapters.begin(), adapters.end());
  adapters.erase(std::unique(adapters.begin(), adapters.end()), adapters.end());
  const auto current = std::find(adapters.begin(), adapters.end(), adapter_);
  if (current != adapters.end()) std::rotate(adapters.begin(), current, current + 1);
  return adapters;
}

Decoder::Outcome Context::decode_with(std::int32_t adapter, std::span<const BatchSlice> slices) {
  use_adapter(adapter);
  llama_batch& batch = handles_->batch;
  batch.n_tokens = 0;
  for (std::size_t index = 0; index < slices.size(); ++index) {
    const BatchSlice& slice = slices[index];
    if (slice.adapter != adapter) continue;
    std::int32_t position = slice.position;
    const auto add = [&](Token token, bool wants_logits) {
      const std::int32_t row = batch.n_tokens++;
      batch.token[row] = token;
      batch.pos[row] = position++;
      batch.n_seq_id[row] = 1;
      batch.seq_id[row][0] = slice.slot;
      batch.logits[row] = wants_logits ? 1 : 0;
    };
    const std::size_t silent = slice.tokens.size() - static_cast<std::size_t>(slice.outputs);
    for (const Token token : slice.tokens.first(silent)) add(token, false);
    if (slice.outputs > 0) handles_->output_rows[index] = batch.n_tokens;
    for (const Token token : slice.tokens.subspan(silent)) add(token, true);
    for (const Token token : slice.draft) add(token, true);
  }
  const std::int32_t outcome = llama_decode(handles_->context, batch);
  moved_.clear();
  note_new_cells(adapter, slices);
  switch (outcome) {
    case 0:
      return Outcome::done;
    case 1:
      return Outcome::no_room;
    case 2:
      return Outcome::aborted;
    default:
      return Outcome::failed;
  }
}

void Context::use_adapter(std::int32_t adapter) {
  if (adapter == adapter_) return;
  llama_adapter_lora* wanted = model_.adapter(adapter);
  float scale = 1;  // the file has its own
  llama_set_adapters_lora(handles_->context, &wanted, wanted == nullptr ? 0 : 1, &scale);
  adapter_ = adapter;
}

// An interrupted step has left the first of its positions behind.
void Context::note_new_cells(std::int32_t adapter, std::span<const BatchSlice> slices) {
  if (!map_) return;
  for (const BatchSlice& slice : slices) {
    if (slice.adapter != adapter) continue;
    map_->take(slice.slot, cells(slice.slot) - map_->length(slice.slot));
  }
}

void Context::copy_logits(std::int32_t adapter, std::span<const BatchSlice> slices) {
  for (std::size_t index = 0; index < slices.size(); ++index) {
    if (slices[index].adapter != adapter || handles_->output_rows[index] < 0) continue;
    std::vector<float> rows;
    const auto count = static_cast<std::size_t>(slices[index].outputs) + slices[index].draft.size();
    for (std::size_t row = 0; row < count; ++row) {
      const std::span<const float> values = logits(index, row);
      rows.insert(rows.end(), values.begin(), values.end());
    }
    handles_->copied[index] = std::move(rows);
  }
}

void Context::take_back(std::int32_t adapter, std::span<const BatchSlice> slices) {
  for (const BatchSlice& slice : slices) {
    if (slice.adapter == adapter) keep(slice.slot, slice.position);
  }
}

bool Context::can_slide() const {
  return map_ && llama_memory_can_shift(llama_get_memory(handles_->context));
}

void Context::slide(std::int32_t slot, std::int32_t first, std::int32_t count) {
  if (map_->shares(slot)) {
    const std::string state = save(slot);
    clear(slot);
    restore(slot, state);
  }
  const llama_memory_t memory = llama_get_memory(handles_->context);
  llama_memory_seq_rm(memory, slot, first, first + count);
  llama_memory_seq_add(memory, slot, first + count, -1, -count);
  map_->slide(slot, first, count);
  moved_.push_back(slot);
}

CellUse Context::cell_use() const {
  return map_ ? CellUse{map_->used(), map_->span()} : CellUse{};
}

std::span<const float> Context::logits(std::size_t slice_index, std::size_t row) {
  const auto size = static_cast<std::size_t>(handles_->vocabulary);
  const std::vector<float>& copied = handles_->copied[slice_index];
  if (!copied.empty()) return std::span(copied).subspan(row * size, size);
  const float* values = llama_get_logits_ith(
      handles_->context, handles_->output_rows[slice_index] + static_cast<std::int32_t>(row));
  return {values, values == nullptr ? 0 : size};
}

std::int32_t Context::cells(std::int32_t slot) {
  return llama_memory_seq_pos_max(llama_get_memory(handles_->context), slot) + 1;
}

void Context::clear(std::int32_t slot) {
  llama_memory_seq_rm(llama_get_memory(handles_->context), slot, -1, -1);
  if (map_) map_->keep(slot, 0);
}

void Context::share(std::int32_t slot, std::int32_t source, std::int32_t length) {
  llama_memory_seq_cp(llama_get_memory(handles_->context), source, slot, 0, length);
  if (map_) map_->share(slot, source, length);
}

std::string Context::save(std::int32_t slot) {
  // llama.cpp moves them with the next decode; until then a state would be that of other positions.
  if (std::find(moved_.begin(), moved_.end(), slot) != moved_.end()) return {};
  std::string state(llama_state_seq_get_size(handles_->context, slot), '\0');
  const std::size_t written = llama_state_seq_get_data(
      handles_->context, reinterpret_cast<std::uint8_t*>(state.data()), state.size(), slot);
  state.resize(written);
  return state;
}

bool Context::restore(std::int32_t slot, std::string_view state) {
  const std::size_t read = llama_state_seq_set_data(
      handles_->context, reinterpret_cast<const std::uint8_t*>(state.data()), state.size(), slot);
  if (read != state.size()) {
    clear(slot);
    return false;
  }
  if (map_) map_->take(slot, cells(slot));
  return true;
}

void Context::keep(std::int32_t slot, std::int32_t cells) {
  llama_memory_seq_rm(llama_get_memory(handles_->context), slot, cells, -1);
  if (map_) map_->keep(slot, cells);
}

}  // namespace deepseek::engine::llama
