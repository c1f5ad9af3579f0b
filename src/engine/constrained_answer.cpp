#include "engine/constrained_answer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr std::size_t kBits = 32;

std::size_t words(std::int32_t vocabulary) {
  return (static_cast<std::size_t>(vocabulary) + kBits - 1) / kBits;
}

}  // namespace

ConstrainedAnswer::ConstrainedAnswer(std::unique_ptr<TokenConstraint> constraint,
                                     std::int32_t vocabulary, std::vector<Token> ends)
    : constraint_(std::move(constraint)),
      ends_(std::move(ends)),
      mask_(words(vocabulary)),
      end_mask_(words(vocabulary)) {
  for (const Token end : ends_) {
    const auto bit = static_cast<std::size_t>(end);
    end_mask_[bit / kBits] |= static_cast<std::int32_t>(1U << (bit % kBits));
  }
}

void ConstrainedAnswer::prepare() {
  masked_ = constraint_->fill(mask_);
  over_ = masked_ && nothing_left();
}

bool ConstrainedAnswer::nothing_left() {
  for (std::size_t word = 0; word < mask_.size(); ++word) {
    if ((mask_[word] & ~end_mask_[word]) != 0) return false;
  }
  return true;
}

std::span<const float> ConstrainedAnswer::allowed(std::span<const float> logits) {
  if (!masked_) return logits;
  logits_.resize(logits.size());
  constexpr float never = -std::numeric_limits<float>::infinity();
  for (std::size_t first = 0; first < logits.size(); first += kBits) {
    const auto word = static_cast<std::uint32_t>(mask_[first / kBits]);
    const std::size_t end = std::min(first + kBits, logits.size());
    if (word == 0) {
      std::fill(logits_.begin() + static_cast<std::ptrdiff_t>(first),
                logits_.begin() + static_cast<std::ptrdiff_t>(end), never);
      continue;
    }
    for (std::size_t token = first; token < end; ++token) {
      logits_[token] = ((word >> (token - first)) & 1U) != 0 ? logits[token] : never;
    }
  }
  return logits_;
}

}  // namespace deepseek::engine
