// Embeddings from the chat model: its last states, averaged over the tokens, with L2 norm 1.
//
// Owned by main(), used on the loop's thread only. It has a context of its own on the same weights,
// made when the first input comes and sized to the most tokens so far, so that a model which is
// only allowed to embed costs nothing until it does. Inputs are read together, in pieces of a few
// tokens; running sequences wait for one piece at most.
#pragma once

#include "engine/llama/context.hpp"

namespace deepseek::engine::llama {

class LazyEmbedder final : public Embedder {
 public:
  LazyEmbedder(const Model& model, const ContextOptions& like);
  ~LazyEmbedder() override;

  std::int32_t dimensions() const override;
  void start(std::vector<std::vector<Token>> inputs) override;
  Progress step() override;
  std::vector<std::vector<float>> take() override;

 private:
  struct Handles;
  struct Input {
    std::vector<Token> tokens;
    std::vector<double> sum;  // of its states
    std::size_t position = 0;
  };
  bool make_context();
  // The inputs of the next piece's tokens, one entry for each.
  std::vector<Input*> fill_piece();

  const Model& model_;
  ContextOptions like_;
  std::unique_ptr<Handles> handles_;
  std::vector<Input> inputs_;
  std::size_t tokens_ = 0;   // of all
  std::size_t current_ = 0;  // the input that is being read
};

}  // namespace deepseek::engine::llama
