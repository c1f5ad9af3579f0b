// One answer that is held to a constraint: which tokens may come next, and what has come.
//
// What the model thinks is free; its content is held. Between two tokens the mask is computed by
// prepare(), on any one thread; all else belongs to the loop's (MaskMaker brings them together).
#pragma once

#include "engine/model_interface.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace deepseek::engine {

class ConstrainedAnswer {
 public:
  // `ends`: the tokens that end an answer.
  ConstrainedAnswer(std::unique_ptr<TokenConstraint> constraint, std::int32_t vocabulary,
                    std::vector<Token> ends);

  // The mask for the next token.
  void prepare();
  // Of the last prepare(): nothing but the end may come.
  bool over() const { return over_; }
  // The logits with minus infinity for what may not come, until the next call.
  std::span<const float> allowed(std::span<const float> logits);
  // False if it may not come here; then nothing has changed.
  bool accept(Token token) { return constraint_->accept(token); }
  bool accept_text(const std::string& text) {
    return text.empty() || constraint_->accept_text(text);
  }

 private:
  bool nothing_left();

  std::unique_ptr<TokenConstraint> constraint_;
  std::vector<Token> ends_;
  std::vector<std::int32_t> mask_;
  std::vector<std::int32_t> end_mask_;
  std::vector<float> logits_;
  bool masked_ = false;  // not all tokens may come
  bool over_ = false;
};

}  // namespace deepseek::engine
