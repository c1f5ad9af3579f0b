// Guesses by a smaller model of the same vocabulary.
//
// Owned by main(); used on the loop's thread only. Its own context has a sequence for each slot of
// the real one and keeps what it has read of each, so that a step reads only what is new.
#pragma once

#include "engine/llama/context.hpp"

#include <memory>
#include <string>
#include <vector>

namespace deepseek::engine::llama {

class ModelDrafter final : public Drafter {
 public:
  // Fails with `invalid_request` where the file is to blame or its vocabulary is another one.
  static base::Result<std::unique_ptr<ModelDrafter>> make(const Model::Options& file,
                                                          const Model& target,
                                                          const ContextOptions& like);
  ~ModelDrafter() override;

  Guesses guess(std::span<const Wish> wishes) override;

 private:
  struct Handles;
  struct Row {
    std::size_t wish = 0;
    std::int32_t row = 0;  // of the batch: where its logits are
  };
  ModelDrafter(std::unique_ptr<Model> model, std::unique_ptr<Handles> handles);

  bool catch_up(std::span<const Wish> wishes, std::vector<Row>& ready);
  bool next_round(std::span<const Wish> wishes, std::vector<Row>& rows, Guesses& guesses);
  void add(std::int32_t slot, Token token, bool wants_logits);
  bool run();
  void keep(std::int32_t slot, std::size_t length);
  void forget_all();

  std::unique_ptr<Model> model_;
  std::unique_ptr<Handles> handles_;
  std::vector<std::vector<Token>> read_;  // of each slot
};

}  // namespace deepseek::engine::llama
