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
  llama_batch batch = llama_batch_init(static_cast<std::int32_t>(kPiece), 0, 1);
  std::size_t cells = 0;

  ~Handles() {
    llama_batch_free(batch);
    if (context != nullptr) llama_free(context);
  }
};

LazyEmbedder::LazyEmbedder(const Model& model, const ContextOptions& like)
    : model_(model), like_(like) {}
LazyEmbedder::~LazyEmbedder() = default;

std::int32_t LazyEmbedder::dimensions() const {
  return model_.facts().embedding_dimensions;
}

bool LazyEmbedder::make_context() {
  if (handles_ && handles_->cells >= tokens_) return true;
  handles_.reset();
  auto handles = std::make_unique<Handles>();
  handles->cells = std::bit_ceil(std::max(tokens_, kCellsMin));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(handles->cells);
  params.n_batch = kPiece;
  params.n_ubatch = kPiece;
  params.n_seq_max = kEmbeddedTogether;
  params.kv_unified = true;
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

void LazyEmbedder::start(std::vector<std::vector<Token>> inputs) {
  inputs_.clear();
  tokens_ = current_ = 0;
  for (std::vector<Token>& tokens : inputs) {
    tokens_ += tokens.size();
    const std::vector<double> nothing(static_cast<std::size_t>(dimensions()));
    inputs_.push_back({std::move(tokens), nothing});
  }
  if (handles_) llama_memory_clear(llama_get_memory(handles_->context), false);
}

std::vector<LazyEmbedder::Input*> LazyEmbedder::fill_piece() {
  std::vector<Input*> rows;
  llama_batch& batch = handles_->batch;
  while (rows.size() < kPiece && current_ < inputs_.size()) {
    Input& input = inputs_[current_];
    const std::size_t row = rows.size();
    batch.token[row] = input.tokens[input.position];
    batch.pos[row] = static_cast<llama_pos>(input.position);
    batch.n_seq_id[row] = 1;
    batch.seq_id[row][0] = static_cast<llama_seq_id>(current_);
    batch.logits[row] = 1;
    rows.push_back(&input);
    if (++input.position == input.tokens.size()) ++current_;
  }
  batch.n_tokens = static_cast<std::int32_t>(rows.size());
  return rows;
}

Embedder::Progress LazyEmbedder::step() {
  if (!make_context()) return Progress::failed;
  const std::vector<Input*> rows = fill_piece();
  if (llama_decode(handles_->context, handles_->batch) != 0) return Progress::failed;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const float* state =
        llama_get_embeddings_ith(handles_->context, static_cast<std::int32_t>(row));
    if (state == nullptr) return Progress::failed;
    std::vector<double>& sum = rows[row]->sum;
    for (std::size_t index = 0; index < sum.size(); ++index) {
      sum[index] += static_cast<double>(state[index]);
    }
  }
  return current_ < inputs_.size() ? Progress::working : Progress::done;
}

std::vector<std::vector<float>> LazyEmbedder::take() {
  std::vector<std::vector<float>> vectors;
  for (const Input& input : inputs_) {
    double square = 0;
    for (const double value : input.sum) square += value * value;
    const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
    std::vector<float>& vector = vectors.emplace_back();
    vector.reserve(input.sum.size());
    for (const double value : input.sum) vector.push_back(static_cast<float>(value * scale));
  }
  inputs_.clear();
  return vectors;
}

}  // namespace deepseek::engine::llama
