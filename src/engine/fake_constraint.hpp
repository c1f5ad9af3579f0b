// For tests: holds an answer of byte tokens to one text.
#pragma once

#include "engine/constrained_answer.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace deepseek::engine {

class OnlyText final : public TokenConstraint {
 public:
  OnlyText(std::string text, Token end) : text_(std::move(text)), end_(end) {}

  bool fill(std::span<std::int32_t> mask) override {
    std::fill(mask.begin(), mask.end(), 0);
    const auto token = static_cast<std::size_t>(next());
    mask[token / 32] |= static_cast<std::int32_t>(1U << (token % 32));
    return true;
  }
  bool accept(Token token) override {
    if (token != next()) return false;
    ++at_;
    return true;
  }
  bool accept_text(const std::string& text) override {
    if (text_.compare(std::min(at_, text_.size()), text.size(), text) != 0) return false;
    at_ += text.size();
    return true;
  }

 private:
  Token next() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : end_; }

  std::string text_;
  Token end_;
  std::size_t at_ = 0;
};

inline std::shared_ptr<ConstrainedAnswer> only(const std::string& text, std::int32_t vocabulary,
                                               Token end) {
  return std::make_shared<ConstrainedAnswer>(std::make_unique<OnlyText>(text, end), vocabulary,
                                             std::vector<Token>{end});
}

}  // namespace deepseek::engine
