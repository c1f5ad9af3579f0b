#include "engine/llama/text.hpp"

#include "base/id.hpp"
#include "engine/llama/sampler.hpp"

#include <chat.h>
#include <llama.h>
#include <log.h>
#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

namespace deepseek::engine::llama {
namespace {

// llama.cpp's common library has a log of its own that writes on standard error.
void silence_common_log() {
  common_log_set_verbosity_thold(LOG_LEVEL_ERROR);
}

bool valid_role(std::string_view role) {
  return !role.empty() && role.size() <= 32 && std::all_of(role.begin(), role.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_' || c == '-';
  });
}

std::string piece_of(const llama_vocab* vocabulary, Token token, bool special) {
  std::string piece(64, '\0');
  auto length = llama_token_to_piece(vocabulary, token, piece.data(),
                                     static_cast<std::int32_t>(piece.size()), 0, special);
  if (length < 0) {
    piece.resize(static_cast<std::size_t>(-length));
    length = llama_token_to_piece(vocabulary, token, piece.data(), -length, 0, special);
  }
  piece.resize(static_cast<std::size_t>(std::max(length, 0)));
  return piece;
}

std::vector<std::string> special_texts(const llama_vocab* vocabulary) {
  std::vector<std::string> texts;
  for (Token token = 0; token < llama_vocab_n_tokens(vocabulary); ++token) {
    const auto attributes = static_cast<unsigned>(llama_vocab_get_attr(vocabulary, token));
    constexpr unsigned kSpecial = static_cast<unsigned>(LLAMA_TOKEN_ATTR_CONTROL) |
                                  static_cast<unsigned>(LLAMA_TOKEN_ATTR_UNKNOWN) |
                                  static_cast<unsigned>(LLAMA_TOKEN_ATTR_USER_DEFINED);
    if ((attributes & kSpecial) != 0) texts.emplace_back(llama_vocab_get_text(vocabulary, token));
  }
  return texts;
}

}  // namespace

struct Text::Template {
  common_chat_templates_ptr templates;
};

base::Result<std::unique_ptr<Text>> Text::make(const Model& model) {
  silence_common_log();
  auto chat_template = std::make_unique<Template>();
  try {
    chat_template->templates = common_chat_templates_init(model.get(), "");
  } catch (const std::exception& exception) {
    return base::make_error(base::ErrorCode::invalid_request,
                            std::string("The model's chat template (tokenizer.chat_template) "
                                        "cannot be read: ") +
                                exception.what());
  }
  std::unique_ptr<Text> text(new Text(model, std::move(chat_template)));
  return text;
}

Text::Text(const Model& model, std::unique_ptr<Template> chat_template)
    : model_(model),
      template_(std::move(chat_template)),
      specials_(special_texts(model.vocabulary())) {
  read_vocabulary();
  read_reasoning();
}

Text::~Text() = default;

void Text::read_vocabulary() {
  const std::int32_t size = vocabulary();
  pieces_.reserve(static_cast<std::size_t>(size));
  for (Token token = 0; token < size; ++token) {
    pieces_.push_back(piece_of(model_.vocabulary(), token, false));
    longest_piece_ = std::max(longest_piece_, pieces_.back().size());
  }
}

// Asks llama.cpp's analysis of the template once; it renders the template many times.
void Text::read_reasoning() {
  try {
    common_chat_templates_inputs inputs;
    common_chat_msg message;
    message.role = "user";
    message.content = "x";
    inputs.messages.push_back(message);
    const common_chat_params params =
        common_chat_templates_apply(template_->templates.get(), inputs);
    if (!params.supports_thinking || params.thinking_end_tags.empty()) return;
    tags_ = {params.thinking_start_tag, params.thinking_end_tags.front()};
  } catch (const std::exception&) {
    tags_ = {};  // A template that cannot be analysed still renders; it just has no thinking.
  }
}

// The text of it still holds the marks of `nonce`, and no tokens.
base::Result<RenderedPrompt> Text::apply(const wire::Chat& chat, std::string_view nonce) const {
  common_chat_templates_inputs inputs;
  inputs.enable_thinking = chat.enable_thinking();
  inputs.add_generation_prompt = true;
  // The analysis for tool calls is not needed for rendering and takes long.
  inputs.force_pure_content = true;
  for (const wire::ChatMessage& message : chat.messages()) {
    if (!valid_role(message.role())) {
      return base::make_error(base::ErrorCode::invalid_request,
                              "A message has a role that is not a name.", "messages");
    }
    common_chat_msg entry;
    entry.role = message.role();
    entry.content = specials_.guard(message.content(), nonce);
    entry.reasoning_content = specials_.guard(message.reasoning_content(), nonce);
    entry.tool_name = specials_.guard(message.name(), nonce);
    entry.tool_call_id = specials_.guard(message.tool_call_id(), nonce);
    inputs.messages.push_back(std::move(entry));
  }
  std::optional<common_chat_msg> continued;
  if (chat.continue_final_message() && !inputs.messages.empty() &&
      inputs.messages.back().role == "assistant") {
    continued = std::move(inputs.messages.back());
    inputs.messages.pop_back();
  }
  try {
    RenderedPrompt prompt;
    prompt.text = common_chat_templates_apply(template_->templates.get(), inputs).prompt;
    if (continued) {
      const JoinedAnswer answer =
          join_answer(prompt.text, tags_, continued->reasoning_content, continued->content);
      prompt.text += answer.text;
      prompt.place = answer.place;
    }
    return prompt;
  } catch (const std::exception& exception) {
    return base::make_error(
        base::ErrorCode::invalid_request,
        std::string("The model's chat template refuses these messages: ") + exception.what(),
        "messages");
  }
}

base::Result<RenderedPrompt> Text::render(const wire::Chat& chat) const {
  if (chat.messages().empty()) {
    return base::make_error(base::ErrorCode::invalid_request, "There are no messages.", "messages");
  }
  const std::string nonce = base::random_id("", 16);
  base::Result<RenderedPrompt> rendered = apply(chat, nonce);
  if (rendered.has_error()) return rendered.error();
  const base::Result<std::vector<PromptPiece>> pieces = SpecialText::cut(rendered->text, nonce);
  if (pieces.has_error()) return pieces.error();
  RenderedPrompt prompt;
  prompt.place = rendered->place;
  bool first = true;
  for (const PromptPiece& piece : *pieces) {
    const base::Result<std::vector<Token>> tokens = tokens_of(piece.text, first, !piece.plain);
    if (tokens.has_error()) return tokens.error();
    prompt.tokens.insert(prompt.tokens.end(), tokens->begin(), tokens->end());
    prompt.text += piece.text;
    first = false;
  }
  // The template has opened the tag, or a client that begins the answer itself.
  if (ends_with_tag(prompt.text, tags_.open)) prompt.place = AnswerPlace::inside;
  return prompt;
}

base::Result<std::vector<Token>> Text::tokenize(std::string_view text, bool add_special) const {
  return tokens_of(text, add_special, false);
}

base::Result<std::vector<Token>> Text::infill(std::string_view prefix,
                                              std::string_view suffix) const {
  const llama_vocab* vocabulary = model_.vocabulary();
  const Token before = llama_vocab_fim_pre(vocabulary);
  const Token behind = llama_vocab_fim_suf(vocabulary);
  const Token between = llama_vocab_fim_mid(vocabulary);
  if (before < 0 || behind < 0 || between < 0) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "This model has no tokens for filling in the middle; leave suffix out, "
                            "or ask a model that was trained for it.",
                            "suffix");
  }
  std::vector<Token> tokens;
  if (llama_vocab_get_add_bos(vocabulary)) tokens.push_back(llama_vocab_bos(vocabulary));
  for (const auto& [mark, text] : {std::pair{before, prefix}, std::pair{behind, suffix}}) {
    const base::Result<std::vector<Token>> more = tokens_of(text, false, false);
    if (more.has_error()) return more.error();
    tokens.push_back(mark);
    tokens.insert(tokens.end(), more->begin(), more->end());
  }
  tokens.push_back(between);
  return tokens;
}

base::Result<std::vector<Token>> Text::tokens_of(std::string_view text, bool add_special,
                                                 bool parse_special) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) / 2) {
    return base::make_error(base::ErrorCode::invalid_request, "The text is too long.", "prompt");
  }
  const auto length = static_cast<std::int32_t>(text.size());
  std::vector<Token> tokens(text.size() / 3 + 16);
  auto count = llama_tokenize(model_.vocabulary(), text.data(), length, tokens.data(),
                              static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
  if (count < 0 && count != std::numeric_limits<std::int32_t>::min()) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = llama_tokenize(model_.vocabulary(), text.data(), length, tokens.data(), -count,
                           add_special, parse_special);
  }
  if (count < 0) {
    return base::make_error(base::ErrorCode::internal, "The text could not be tokenized.");
  }
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

std::string Text::piece(Token token, bool special) const {
  if (special) return piece_of(model_.vocabulary(), token, true);
  return pieces_[static_cast<std::size_t>(token)];
}

bool Text::is_end(Token token) const {
  return llama_vocab_is_eog(model_.vocabulary(), token);
}

base::Result<std::unique_ptr<TokenSampler>> Text::make_sampler(
    const wire::Sampling& sampling) const {
  return llama::make_sampler(model_, sampling);
}

}  // namespace deepseek::engine::llama
