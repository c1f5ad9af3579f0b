#include "engine/llama/model_drafter.hpp"

#include "engine/llama/log_bridge.hpp"

#include <llama.h>
#include <algorithm>
#include <cstring>
#include <utility>

namespace deepseek::engine::llama {
namespace {

// Tokens that are read at a time; who has more missing gets its guesses a few steps later.
constexpr std::int32_t kBatch = 256;
// Tokens by which two vocabularies may differ at their ends.
constexpr std::int32_t kVocabularyDifference = 128;

bool same_vocabulary(const Model& one, const Model& other) {
  const std::int32_t sizes[] = {one.facts().vocabulary, other.facts().vocabulary};
  if (std::abs(sizes[0] - sizes[1]) > kVocabularyDifference) return false;
  for (std::int32_t token = 0; token < std::min(sizes[0], sizes[1]); ++token) {
    if (std::strcmp(llama_vocab_get_text(one.vocabulary(), token),
                    llama_vocab_get_text(other.vocabulary(), token)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

struct ModelDrafter::Handles {
  llama_context* context = nullptr;
  llama_batch batch = llama_batch_init(kBatch, 0, 1);
  std::int32_t vocabulary = 0;  // that both models have

  ~Handles() {
    llama_batch_free(batch);
    if (context != nullptr) llama_free(context);
  }
  llama_memory_t memory() const { return llama_get_memory(context); }
};

base::Result<std::unique_ptr<ModelDrafter>> ModelDrafter::make(const Model::Options& file,
                                                               const Model& target,
                                                               const ContextOptions& like) {
  auto model = Model::load(file, {});
  if (model.has_error()) return model.error();
  if ((*model)->facts().recurrent || !same_vocabulary(**model, target)) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "The draft model " + file.path +
                                " cannot guess for this model: it needs the same vocabulary, and "
                                "attention whose states can be cut.");
  }
  clear_errors();
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(like.cells);
  params.n_batch = params.n_ubatch = kBatch;
  params.n_seq_max = params.n_outputs_max = static_cast<std::uint32_t>(like.slots);
  params.n_threads = like.threads;
  params.n_threads_batch = like.threads_prefill;
  params.kv_unified = true;
  params.no_perf = true;
  auto handles = std::make_unique<Handles>();
  handles->context = llama_init_from_model((*model)->get(), params);
  if (handles->context == nullptr) {
    return base::make_error(base::ErrorCode::internal,
                            "The draft model's memory could not be made: " + last_errors());
  }
  handles->vocabulary = std::min((*model)->facts().vocabulary, target.facts().vocabulary);
  auto drafter =
      std::unique_ptr<ModelDrafter>(new ModelDrafter(std::move(*model), std::move(handles)));
  drafter->read_.resize(static_cast<std::size_t>(like.slots));
  return drafter;
}

ModelDrafter::ModelDrafter(std::unique_ptr<Model> model, std::unique_ptr<Handles> handles)
    : model_(std::move(model)), handles_(std::move(handles)) {}
ModelDrafter::~ModelDrafter() = default;

Drafter::Guesses ModelDrafter::guess(std::span<const Wish> wishes) {
  Guesses guesses;
  guesses.tokens.resize(wishes.size());
  std::vector<Row> rows;
  bool going = catch_up(wishes, rows);
  if (!going) {
    forget_all();
    rows.clear();
    going = catch_up(wishes, rows);
  }
  while (going && !rows.empty()) going = next_round(wishes, rows, guesses);
  if (!going) forget_all();
  return guesses;
}

// Reads what is new of each sequence. `ready` are those of which nothing is missing any more.
bool ModelDrafter::catch_up(std::span<const Wish> wishes, std::vector<Row>& ready) {
  handles_->batch.n_tokens = 0;
  for (std::size_t index = 0; index < wishes.size(); ++index) {
    const Wish& wish = wishes[index];
    std::vector<Token>& read = read_[static_cast<std::size_t>(wish.slot)];
    const auto same =
        std::mismatch(read.begin(), read.end(), wish.tokens.begin(), wish.tokens.end());
    // The last one is computed again if need be: its logits are wanted.
    const auto common = static_cast<std::size_t>(same.first - read.begin());
    keep(wish.slot, std::min(common, wish.tokens.size() - 1));
    const auto room = static_cast<std::size_t>(kBatch - handles_->batch.n_tokens);
    const auto missing = wish.tokens.subspan(read.size());
    const auto piece = missing.first(std::min(missing.size(), room));
    for (const Token& token : piece) {
      add(wish.slot, token, piece.size() == missing.size() && &token == &piece.back());
    }
    if (piece.size() == missing.size()) ready.push_back({index, handles_->batch.n_tokens - 1});
  }
  return run();
}

// One more guess for each; who has enough leaves.
bool ModelDrafter::next_round(std::span<const Wish> wishes, std::vector<Row>& rows,
                              Guesses& guesses) {
  ++guesses.rounds;
  std::vector<Row> going;
  handles_->batch.n_tokens = 0;
  std::vector<std::pair<std::size_t, Token>> chosen;
  for (const Row& row : rows) {
    const float* logits = llama_get_logits_ith(handles_->context, row.row);
    const auto token =
        static_cast<Token>(std::max_element(logits, logits + handles_->vocabulary) - logits);
    guesses.tokens[row.wish].push_back(token);
    const auto size = static_cast<std::int32_t>(guesses.tokens[row.wish].size());
    const bool over = llama_vocab_is_eog(model_->vocabulary(), token);
    if (size < wishes[row.wish].count && !over) chosen.emplace_back(row.wish, token);
  }
  for (const auto& [wish, token] : chosen) {
    add(wishes[wish].slot, token, true);
    going.push_back({wish, handles_->batch.n_tokens - 1});
  }
  rows = std::move(going);
  return run();
}

void ModelDrafter::add(std::int32_t slot, Token token, bool wants_logits) {
  std::vector<Token>& read = read_[static_cast<std::size_t>(slot)];
  llama_batch& batch = handles_->batch;
  const std::int32_t row = batch.n_tokens++;
  batch.token[row] = token;
  batch.pos[row] = static_cast<llama_pos>(read.size());
  batch.n_seq_id[row] = 1;
  batch.seq_id[row][0] = slot;
  batch.logits[row] = wants_logits ? 1 : 0;
  read.push_back(token);
}

bool ModelDrafter::run() {
  return handles_->batch.n_tokens == 0 || llama_decode(handles_->context, handles_->batch) == 0;
}

void ModelDrafter::keep(std::int32_t slot, std::size_t length) {
  std::vector<Token>& read = read_[static_cast<std::size_t>(slot)];
  if (length >= read.size()) return;
  read.resize(length);
  llama_memory_seq_rm(handles_->memory(), slot, static_cast<llama_pos>(length), -1);
}

// Of a sequence that ended nobody tells: without room all begin anew.
void ModelDrafter::forget_all() {
  for (std::vector<Token>& read : read_) read.clear();
  llama_memory_clear(handles_->memory(), false);
}

}  // namespace deepseek::engine::llama
