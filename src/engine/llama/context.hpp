// The llama_context behind the scheduler: one unified KV pool, batches made of slices.
//
// Owned by main(); every function but abort_flag() belongs to the loop's thread. It decides
// nothing: which tokens run, and whose cells are cleared, the scheduler says.
//
// A step is one llama_decode(), or several, since llama.cpp knows one adapter at a time.
#pragma once

#include "engine/cell_map.hpp"
#include "engine/llama/model.hpp"
#include "engine/model_interface.hpp"

#include <memory>
#include <optional>

namespace deepseek::engine::llama {

enum class FlashAttention { automatic, on, off };
enum class CacheType { f16, q8_0, q4_0 };

struct ContextOptions {
  std::int32_t cells = 8192;
  std::int32_t sequences_max = 16;  // of one step
  std::int32_t slots = 64;          // of the cache, at least sequences_max
  std::int32_t step_tokens_max = 512;
  std::int32_t micro_batch = 128;  // tokens computed at a time; small keeps memory low
  std::int32_t threads = 1;
  std::int32_t threads_prefill = 1;
  CacheType cache_type = CacheType::f16;
  FlashAttention flash_attention = FlashAttention::automatic;
};

class Context final : public Decoder {
 public:
  static base::Result<std::unique_ptr<Context>> make(const Model& model,
                                                     const ContextOptions& options);
  ~Context() override;

  Outcome decode(std::span<const BatchSlice> slices) override;
  std::span<const float> logits(std::size_t slice_index, std::size_t row) override;
  std::int32_t cells(std::int32_t slot) override;
  void clear(std::int32_t slot) override;
  void share(std::int32_t slot, std::int32_t source, std::int32_t length) override;
  std::string save(std::int32_t slot) override;
  bool restore(std::int32_t slot, std::string_view state) override;
  void keep(std::int32_t slot, std::int32_t cells) override;
  void slide(std::int32_t slot, std::int32_t first, std::int32_t count) override;
  CellUse cell_use() const override;
  std::atomic<bool>& abort_flag() override { return abort_; }

  std::int32_t cells_max() const;
  bool can_slide() const;  // its positions can be moved
  // Runs a few tokens and forgets them, so that the first request finds everything in memory.
  base::Result<void> warm_up(std::int32_t rounds);

 private:
  struct Handles;
  Context(const Model& model, std::unique_ptr<Handles> handles);
  std::vector<std::int32_t> adapters_of(std::span<const BatchSlice> slices) const;
  // Those of the slices that want this adapter.
  Outcome decode_with(std::int32_t adapter, std::span<const BatchSlice> slices);
  void use_adapter(std::int32_t adapter);
  void note_new_cells(std::int32_t adapter, std::span<const BatchSlice> slices);
  void copy_logits(std::int32_t adapter, std::span<const BatchSlice> slices);
  void take_back(std::int32_t adapter, std::span<const BatchSlice> slices);

  const Model& model_;
  std::unique_ptr<Handles> handles_;
  std::vector<std::int32_t> moved_;  // slots that slid since the last decode
  std::int32_t adapter_ = 0;         // that llama.cpp uses now
  std::optional<CellMap> map_;       // none for a model whose states are no rows of positions
  std::atomic<bool> abort_{false};
};

// Bytes per value of a cache type.
double value_bytes(CacheType type);

}  // namespace deepseek::engine::llama
