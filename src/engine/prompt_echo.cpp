#include "engine/prompt_echo.hpp"

#include "engine/logprobs.hpp"

#include <utility>

namespace deepseek::engine {

wire::TokenLogprob token_logprob(const TextModel& text, std::span<const float> logits, Token token,
                                 std::size_t alternatives) {
  const TokenLogprobs values = logprobs(logits, token, alternatives);
  wire::TokenLogprob told;
  told.set_token_id(token);
  told.set_text(text.piece(token, true));
  told.set_logprob(values.chosen);
  for (const auto& [other, value] : values.most_likely) {
    wire::TokenLogprob* alternative = told.add_alternatives();
    alternative->set_token_id(other);
    alternative->set_text(text.piece(other, true));
    alternative->set_logprob(value);
  }
  return told;
}

PromptEcho::PromptEcho(const TextModel& text, Options options)
    : text_(&text), options_(std::move(options)) {}

void PromptEcho::add(Token token, bool first, std::string& content) {
  std::string piece = text_->piece(token, true);
  const bool spaced = first && options_.written && piece.starts_with(' ');
  if (spaced && !options_.written->starts_with(' ')) piece.erase(0, 1);
  content += utf8_.push(piece);
}

wire::Delta PromptEcho::tell_all(std::span<const Token> prompt) {
  std::string content;
  for (std::size_t at = options_.hidden; at < prompt.size(); ++at) {
    add(prompt[at], at == options_.hidden, content);
  }
  wire::Delta delta;
  delta.set_echo(true);
  delta.set_content(content + utf8_.finish());
  return delta;
}

wire::Delta PromptEcho::tell(
    std::span<const Token> prompt, std::size_t begin, std::size_t end,
    const std::function<std::span<const float>(std::size_t position)>& row) {
  wire::Delta delta;
  delta.set_echo(true);
  std::string content;
  if (begin == 0 && options_.hidden == 0) {
    add(prompt.front(), true, content);
    wire::TokenLogprob* first = delta.add_logprobs();
    first->set_token_id(prompt.front());
    first->set_text(text_->piece(prompt.front(), true));
    first->set_first(true);
  }
  for (std::size_t at = begin + 1; at <= end && at < prompt.size(); ++at) {
    if (at < options_.hidden) continue;
    add(prompt[at], at == options_.hidden, content);
    *delta.add_logprobs() =
        token_logprob(*text_, row(at - 1), prompt[at], options_.alternatives.value_or(0));
  }
  if (end >= prompt.size()) content += utf8_.finish();
  delta.set_content(std::move(content));
  return delta;
}

}  // namespace deepseek::engine
