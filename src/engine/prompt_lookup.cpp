#include "engine/prompt_lookup.hpp"

#include <algorithm>
#include <bit>

namespace deepseek::engine {
namespace {

constexpr std::size_t kGram = 3;         // tokens that make a place worth following
constexpr std::size_t kPlacesMin = 256;  // a power of two, as every size of the table

std::uint32_t hash(const Token* gram) {
  std::uint32_t value = 0;
  for (std::size_t index = 0; index < kGram; ++index) {
    value = (value ^ static_cast<std::uint32_t>(gram[index])) * 0x9E3779B1U;
    value ^= value >> 15U;
  }
  return value;
}

// How many tokens before `a` and before `b` are the same.
std::int32_t match_before(std::span<const Token> tokens, std::size_t a, std::size_t b) {
  std::int32_t match = 0;
  while (match < PromptLookup::kMatchMax && a > 0 && b > 0 && tokens[a - 1] == tokens[b - 1]) {
    --a;
    --b;
    ++match;
  }
  return match;
}

}  // namespace

std::optional<PromptLookup::Outcome> PromptLookup::follow(std::span<const Token> tokens) {
  if (tokens.size() <= seen_) return std::nullopt;
  std::optional<Outcome> outcome;
  if (next_ > 0) outcome = {match_, tokens[next_] == tokens[seen_]};
  const bool goes_on = outcome && outcome->right && tokens.size() == seen_ + 1;
  grow(tokens);
  // The last place but one: what ends at the end would only find itself.
  for (std::size_t end = std::max(seen_, kGram); end < tokens.size(); ++end) {
    end_of(tokens, end) = static_cast<std::uint32_t>(end);
  }
  seen_ = tokens.size();
  next_ = goes_on ? next_ + 1 : 0;
  match_ = goes_on ? std::min(match_ + 1, kMatchMax) : 0;
  if (goes_on || tokens.size() < kGram) return outcome;
  const std::size_t found = end_of(tokens, tokens.size());
  const std::int32_t match = found > 0 ? match_before(tokens, found, tokens.size()) : 0;
  if (match < static_cast<std::int32_t>(kGram)) return outcome;  // another with the same hash
  next_ = found;
  match_ = match;
  return outcome;
}

PromptLookup::Guess PromptLookup::guess(std::span<const Token> tokens, std::int32_t count) const {
  if (next_ == 0 || count <= 0) return {};
  const std::size_t length = std::min(static_cast<std::size_t>(count), tokens.size() - next_);
  return {match_, tokens.subspan(next_, length)};
}

std::uint32_t& PromptLookup::end_of(std::span<const Token> tokens, std::size_t end) {
  return ends_[hash(tokens.data() + end - kGram) & (ends_.size() - 1)];
}

// Twice as many places as tokens.
void PromptLookup::grow(std::span<const Token> tokens) {
  const std::size_t wanted = std::max(kPlacesMin, std::bit_ceil(2 * tokens.size()));
  if (ends_.size() >= wanted) return;
  ends_.assign(wanted, 0);
  seen_ = std::min(seen_, kGram);  // all are entered anew
}

}  // namespace deepseek::engine
