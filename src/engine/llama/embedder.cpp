#include "engine/llama/embedder.hpp"

#include <llama.h>
#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace deepseek::engine::llama {
namespace {

// Every token of a piece is an output, and llama.cpp keeps logits for each: small pieces.
constexpr std::size_t kPiece = 64;
constexpr std::size_t kCellsMin = 512;

}  // namespace

struct LazyEmbedder::Handles {
  llama_context* context = nullptr;
  std::size_t cells = 0;

  ~Handles() {
    if (context != nullptr) llama_free(context);
  }
};

LazyEmbedder::LazyEmbedder(const Model& model, const ContextOptions& like)
    : model_(model), like_(like) {}
LazyEmbedder::~LazyEmbedder() = default;

std::int32_t LazyEmbedder::dimensions() const {
  return model_.facts().embedding_dimensions;
}

bool LazyEmbedder::make_context(std::size_t tokens) {
  if (handles_ && handles_->cells >= tokens) return true;
  handles_.reset();
  auto handles = std::make_unique<Handles>();
  handles->cells = std::bit_ceil(std::max(tokens, kCellsMin));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(handles->cells);
  params.n_batch = kPiece;
  params.n_ubatch = kPiece;
  params.n_seq_max = 1;
  params.n_outputs_max = kPiece;
  params.n_threads = like_.threads;
  params.n_threads_batch = like_.threads_prefill;
  params.embeddings = true;
  params.pooling_type = LLAMA_POOLING_TYPE_NONE;  // averaged here, over all pieces of an input
  params.no_perf = true;
  handles->context = llama_init_from_model(model_.get(), params);
  if (handles->context == nullptr) return false;
  handles_ = std::move(handles);
  return true;
}

void LazyEmbedder::start(std::vector<Token> tokens) {
  tokens_ = std::move(tokens);
  position_ = 0;
  sum_.assign(static_cast<std::size_t>(dimensions()), 0.0);
  if (handles_) llama_memory_clear(llama_get_memory(handles_->context), false);
}

Embedder::Progress LazyEmbedder::step() {
  if (!make_context(tokens_.size())) return Progress::failed;
  const std::size_t count = std::min(kPiece, tokens_.size() - position_);
  llama_batch batch =
      llama_batch_get_one(tokens_.data() + position_, static_cast<std::int32_t>(count));
  if (llama_decode(handles_->context, batch) != 0) return Progress::failed;
  for (std::size_t row = 0; row < count; ++row) {
    const float* state =
        llama_get_embeddings_ith(handles_->context, static_cast<std::int32_t>(row));
    if (state == nullptr) return Progress::failed;
    for (std::size_t index = 0; index < sum_.size(); ++index) {
      sum_[index] += static_cast<double>(state[index]);
    }
  }
  position_ += count;
  return position_ < tokens_.size() ? Progress::working : Progress::done;
}

std::vector<float> LazyEmbedder::take() {
  double square = 0;
  for (const double value : sum_) square += value * value;
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  std::vector<float> result;
  result.reserve(sum_.size());
  for (const double value : sum_) result.push_back(static_cast<float>(value * scale));
  return result;
}

}  // namespace deepseek::engine::llama
