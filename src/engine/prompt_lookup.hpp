// Guesses how a sequence goes on by what followed when it stood in the same words before: prompt
// lookup. Answers repeat their prompts (code, quotes, tables) and themselves.
//
// Pure; owned by one sequence. It remembers where each three tokens ended last, about eight bytes a
// token, and follows a place as long as it proves right.
#pragma once

#include "engine/kv_tree.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace deepseek::engine {

class PromptLookup {
 public:
  // How one guess of the next token turned out.
  struct Outcome {
    std::int32_t match = 0;  // how many tokens before it were the same at both places
    bool right = false;
  };
  // `tokens` is the sequence so far, which only grows. If there was a guess of the first token that
  // is new, tells how it turned out.
  std::optional<Outcome> follow(std::span<const Token> tokens);

  // What came next then, at most `count` tokens: a view into `tokens`, which follow() has seen.
  struct Guess {
    std::int32_t match = 0;  // 0: none
    std::span<const Token> tokens;
  };
  Guess guess(std::span<const Token> tokens, std::int32_t count) const;

  static constexpr std::int32_t kMatchMax = 32;  // longer ones are not told apart

 private:
  std::uint32_t& end_of(std::span<const Token> tokens, std::size_t end);
  void grow(std::span<const Token> tokens);

  std::vector<std::uint32_t> ends_;  // by the hash of three tokens: behind which place they ended
  std::size_t seen_ = 0;             // tokens
  std::size_t next_ = 0;             // the token at this place is the guess; 0: none
  std::int32_t match_ = 0;
};

}  // namespace deepseek::engine
