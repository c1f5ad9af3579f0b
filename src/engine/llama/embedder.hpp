// Embeddings from the chat model: its last states, averaged over the tokens, with L2 norm 1.
//
// Owned by main(), used on the loop's thread only. It has a context of its own on the same weights,
// made when the first input comes and sized to the longest one so far, so that a model which is
// only allowed to embed costs nothing until it does. An input is read in pieces of a few tokens;
// running sequences wait for one piece at most.
#pragma once

#include "engine/llama/context.hpp"

namespace deepseek::engine::llama {

class LazyEmbedder final : public Embedder {
 public:
  LazyEmbedder(const Model& model, const ContextOptions& like);
  ~LazyEmbedder() override;

  std::int32_t dimensions() const override;
  void start(std::vector<Token> tokens) override;
  Progress step() override;
  std::vector<float> take() override;

 private:
  struct Handles;
  bool make_context(std::size_t tokens);

  const Model& model_;
  ContextOptions like_;
  std::unique_ptr<Handles> handles_;
  std::vector<Token> tokens_;
  std::size_t position_ = 0;
  std::vector<double> sum_;
};

}  // namespace deepseek::engine::llama
