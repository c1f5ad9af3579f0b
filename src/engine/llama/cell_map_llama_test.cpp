// The map of cells beside llama.cpp's own cache: after any row of changes, attention looks at the
// cells that the map says.
#include "engine/cell_map.hpp"
#include "engine/llama/test_support.hpp"

#include <ggml.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <random>

namespace deepseek::engine::llama {
namespace {

constexpr std::int32_t kCells = 2048;
constexpr std::int32_t kSlots = 8;
constexpr std::int32_t kStep = 256;  // llama.cpp rounds the cells that it looks at up to it

// A llama_context that tells how many cells the attention of its last graph looked at.
class WatchedContext {
 public:
  WatchedContext() : batch_(llama_batch_init(kCells, 0, 1)) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = kCells;
    params.n_batch = kCells;
    params.n_ubatch = 128;
    params.n_seq_max = params.n_outputs_max = kSlots;
    params.kv_unified = true;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.n_threads = params.n_threads_batch = 1;
    params.cb_eval = watch;
    params.cb_eval_user_data = this;
    context_ = llama_init_from_model(loaded().model->get(), params);
  }
  ~WatchedContext() {
    llama_free(context_);
    llama_batch_free(batch_);
  }
  WatchedContext(const WatchedContext&) = delete;
  WatchedContext& operator=(const WatchedContext&) = delete;

  llama_context* get() const { return context_; }
  llama_memory_t memory() const { return llama_get_memory(context_); }
  // Cells in the last micro-batch.
  std::int32_t looked_at() const { return looked_at_; }

  // One batch: of each slot, so many tokens behind the position.
  struct Piece {
    std::int32_t slot;
    std::int32_t position;
    std::int32_t count;
  };
  bool decode(const std::vector<Piece>& pieces) {
    batch_.n_tokens = 0;
    for (const Piece& piece : pieces) {
      for (std::int32_t index = 0; index < piece.count; ++index) {
        const std::int32_t row = batch_.n_tokens++;
        batch_.token[row] = 100 + row;
        batch_.pos[row] = piece.position + index;
        batch_.n_seq_id[row] = 1;
        batch_.seq_id[row][0] = piece.slot;
        batch_.logits[row] = 0;
      }
    }
    return llama_decode(context_, batch_) == 0;
  }

 private:
  static bool watch(ggml_tensor* tensor, bool ask, void* self) {
    if (ask && tensor->op == GGML_OP_FLASH_ATTN_EXT) {
      static_cast<WatchedContext*>(self)->looked_at_ =
          static_cast<std::int32_t>(tensor->src[1]->ne[1]);
    }
    return !ask;
  }

  llama_context* context_ = nullptr;
  llama_batch batch_;
  std::int32_t looked_at_ = 0;
};

// Random changes of both, as the engine makes them.
class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed) {}

  void step() {
    switch (below(4)) {
      case 0:
        return cut();
      case 1:
        return share();
      case 2:
        return put_back();
      default:
        return compute();
    }
  }
  // Of at least one token, so that a graph tells how far it looks.
  void compute() {
    std::vector<WatchedContext::Piece> pieces;
    for (std::int32_t slot = below(kSlots); slot < kSlots; slot += 1 + below(3)) {
      const std::int32_t count = below(3) == 0 ? 1 + below(150) : 1;
      if (map_.used() + count + 200 > kCells) continue;
      pieces.push_back({slot, map_.length(slot), count});
    }
    if (pieces.empty()) return map_.used() > kCells / 2 ? cut() : void();
    ASSERT_TRUE(context_.decode(pieces));
    for (const auto& piece : pieces) map_.take(piece.slot, piece.count);
    const std::int32_t rounded = (map_.span() + kStep - 1) / kStep * kStep;
    ASSERT_EQ(context_.looked_at(), std::min(rounded, kCells));
    holes_ += map_.has_holes() ? 1 : 0;
  }
  int holes() const { return holes_; }

 private:
  std::int32_t below(std::int32_t count) {
    return std::uniform_int_distribution<std::int32_t>(0, count - 1)(random_);
  }
  void keep(std::int32_t slot, std::int32_t length) {
    llama_memory_seq_rm(context_.memory(), slot, length, -1);
    map_.keep(slot, length);
  }
  void cut() {
    const std::int32_t slot = below(kSlots);
    keep(slot, below(2) == 0 ? 0 : below(map_.length(slot) + 1));
  }
  void share() {
    const std::int32_t source = below(kSlots);
    const std::int32_t slot = (source + 1) % kSlots;
    const std::int32_t length = below(map_.length(source) + 1);
    keep(slot, 0);
    llama_memory_seq_cp(context_.memory(), source, slot, 0, length);
    map_.share(slot, source, length);
  }
  void put_back() {
    const std::int32_t source = below(kSlots);
    const std::int32_t slot = (source + 3) % kSlots;
    keep(slot, 0);
    if (map_.length(source) == 0 || map_.used() + map_.length(source) > kCells) return;
    std::vector<std::uint8_t> state(llama_state_seq_get_size(context_.get(), source));
    ASSERT_EQ(llama_state_seq_get_data(context_.get(), state.data(), state.size(), source),
              state.size());
    ASSERT_EQ(llama_state_seq_set_data(context_.get(), state.data(), state.size(), slot),
              state.size());
    map_.take(slot, map_.length(source));
  }

  std::mt19937 random_;
  WatchedContext context_;
  CellMap map_{kCells, kSlots};
  int holes_ = 0;
};

TEST(CellMapLlama, AttentionLooksAtTheCellsThatTheMapSays) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(seed);
    for (int count = 0; count < 60 && !testing::Test::HasFatalFailure(); ++count) walk.step();
    walk.compute();
    EXPECT_GT(walk.holes(), 3);
  }
}

}  // namespace
}  // namespace deepseek::engine::llama
