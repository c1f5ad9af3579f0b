// Tells a prompt's own tokens in front of the answer, with their logprobs if they are wanted.
//
// Pure; one object per sequence, on the loop's thread.
#pragma once

#include "base/utf8.hpp"
#include "engine/model_interface.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>

namespace deepseek::engine {

// What `logits` say of a token that was taken and of the `alternatives` likeliest in its place.
wire::TokenLogprob token_logprob(const TextModel& text, std::span<const float> logits, Token token,
                                 std::size_t alternatives);

class PromptEcho {
 public:
  struct Options {
    std::size_t hidden = 0;  // first tokens, which the client did not write
    // The client's prompt, if it was a text: some models put a space before it, which is not told.
    std::optional<std::string> written{};
    std::optional<std::size_t> alternatives{};  // logprobs are wanted, with so many of them
  };
  PromptEcho(const TextModel& text, Options options);

  bool wants_logits() const { return options_.alternatives.has_value(); }
  // All of the prompt, without logprobs.
  wire::Delta tell_all(std::span<const Token> prompt);
  // What became known with the logits of the positions [begin, end): the tokens behind them, and
  // the first token of all, which has no probability. `row` gives the logits of a position.
  wire::Delta tell(std::span<const Token> prompt, std::size_t begin, std::size_t end,
                   const std::function<std::span<const float>(std::size_t position)>& row);

 private:
  void add(Token token, bool first, std::string& content);

  const TextModel* text_;
  Options options_;
  base::Utf8Assembler utf8_;
};

}  // namespace deepseek::engine
