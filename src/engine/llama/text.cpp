#include "engine/llama/text.hpp"

#include "base/id.hpp"
#include "engine/llama/deepseek_v3_template.hpp"
#include "engine/llama/sampler.hpp"
#include "engine/tool_splitter.hpp"

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

common_chat_msg to_message(const wire::ChatMessage& message) {
  common_chat_msg entry;
  entry.role = message.role();
  entry.content = message.content();
  entry.reasoning_content = message.reasoning_content();
  entry.tool_name = message.name();
  entry.tool_call_id = message.tool_call_id();
  for (const wire::ToolCall& call : message.tool_calls()) {
    const std::string arguments = call.arguments().empty() ? "{}" : call.arguments();
    entry.tool_calls.push_back({call.name(), arguments, call.id()});
  }
  return entry;
}

common_chat_templates_inputs inputs_of(const wire::Chat& chat) {
  common_chat_templates_inputs inputs;
  inputs.enable_thinking = chat.enable_thinking();
  inputs.add_generation_prompt = true;
  // The analysis for tool calls is not needed for rendering and takes long.
  inputs.force_pure_content = true;
  for (const wire::ChatMessage& message : chat.messages()) {
    inputs.messages.push_back(to_message(message));
  }
  for (const wire::Tool& tool : chat.tools()) {
    const std::string none = R"({"type": "object", "properties": {}})";
    inputs.tools.push_back(
        {tool.name(), tool.description(), tool.parameters().empty() ? none : tool.parameters()});
  }
  return inputs;
}

// DeepSeek V3's own template says nothing of tools and joins calls wrongly; a file of DeepSeek's
// vocabulary without a template can only be V3's.
std::string template_override(const Model& model, const std::vector<std::string>& specials) {
  const auto known = [&specials](std::string_view text) {
    return std::find(specials.begin(), specials.end(), text) != specials.end();
  };
  const char* own = llama_model_chat_template(model.get(), nullptr);
  if (own == nullptr) return known(kCallSeparator) ? std::string(kDeepseekV3Template) : "";
  const std::string_view source = own;
  const auto has = [source](std::string_view part) {
    return source.find(part) != std::string_view::npos;
  };
  const bool v3 = has(kCallSeparator) && has("tool['type']") && !has("think") && !has("tools");
  return v3 ? std::string(kDeepseekV3Template) : "";
}

}  // namespace

struct Text::Template {
  common_chat_templates_ptr templates;
};

base::Result<std::unique_ptr<Text>> Text::make(const Model& model) {
  silence_common_log();
  auto chat_template = std::make_unique<Template>();
  try {
    chat_template->templates = common_chat_templates_init(
        model.get(), template_override(model, special_texts(model.vocabulary())));
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
  read_marks();
  read_reasoning();
  read_tools();
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

void Text::read_marks() {
  const std::string source = common_chat_templates_source(template_->templates.get());
  for (Token token = 0; token < vocabulary(); ++token) {
    const auto attributes = static_cast<unsigned>(llama_vocab_get_attr(model_.vocabulary(), token));
    if ((attributes & static_cast<unsigned>(LLAMA_TOKEN_ATTR_USER_DEFINED)) == 0) continue;
    const std::string text = llama_vocab_get_text(model_.vocabulary(), token);
    const bool ascii_first = !text.empty() && static_cast<unsigned char>(text.front()) < 0x80;
    if (ascii_first && source.find(text) != std::string::npos) marks_.insert(text);
  }
}

void Text::read_tools() {
  std::string source = common_chat_templates_source(template_->templates.get(), "tool_use");
  if (source.empty()) source = common_chat_templates_source(template_->templates.get());
  const auto capabilities = common_chat_templates_get_caps(template_->templates.get());
  const auto can = [&capabilities](const char* what) {
    const auto found = capabilities.find(what);
    return found != capabilities.end() && found->second;
  };
  const bool shows = can("supports_tools");
  tools_ = {tool_format_of(source, shows || can("supports_tool_calls")), shows};
  // Described by us in a format of ours, where the model's own is not read here.
  if (tools_.format == ToolFormat::other) tools_.shows_tools = false;
  const auto has = [&source](std::string_view part) {
    return source.find(part) != std::string::npos;
  };
  knows_effort_ = has("reasoning_effort");
  knows_max_effort_ = has("'max'") || has("\"max\"");
  // Marks that are special tokens have no text of their own otherwise.
  std::vector<std::string> marks{tags_.open, tags_.close};
  for (const std::string_view mark : format_marks(tools_.format)) marks.emplace_back(mark);
  for (Token token = 0; token < vocabulary(); ++token) {
    std::string& piece = pieces_[static_cast<std::size_t>(token)];
    if (!piece.empty()) continue;
    std::string whole = piece_of(model_.vocabulary(), token, true);
    if (whole.empty() || std::find(marks.begin(), marks.end(), whole) == marks.end()) continue;
    longest_piece_ = std::max(longest_piece_, whole.size());
    piece = std::move(whole);
  }
}

// Calls of the request's tools, in what the model answers.
void Text::add_tools(const wire::Chat& chat, RenderedPrompt& prompt) const {
  if (chat.tools().empty() || chat.tool_choice() == wire::NONE) return;
  ToolSplitterOptions options;
  options.format = tools_.format;
  for (const wire::Tool& tool : chat.tools()) options.names.push_back(tool.name());
  if (chat.tool_choice() == wire::NAMED) options.names = {chat.tool_name()};
  options.parallel = chat.parallel_tool_calls();
  options.at_start = !chat.continue_final_message();
  const bool short_ids =
      options.format == ToolFormat::mistral_list || options.format == ToolFormat::mistral_named;
  options.make_id = [short_ids] {
    return short_ids ? base::random_id("", 9) : base::random_id("call_", 24);
  };
  prompt.tools = make_tool_splitter(std::move(options));
  if (!call_ends_thinking(tools_.format)) return;
  for (const std::string_view mark : call_marks(tools_.format)) {
    prompt.call_marks.emplace_back(mark);
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

wire::Chat Text::guarded(wire::Chat chat, std::string_view nonce) const {
  std::size_t images = 0;
  for (wire::ChatMessage& message : *chat.mutable_messages()) {
    message.set_content(specials_.guard(message.content(), nonce));
    for (const wire::ContentPart& part : message.parts()) {
      message.mutable_content()->append(part.has_image() ? SpecialText::image_mark(images++, nonce)
                                                         : specials_.guard(part.text(), nonce));
    }
    message.clear_parts();
    message.set_reasoning_content(specials_.guard(message.reasoning_content(), nonce));
    message.set_name(specials_.guard(message.name(), nonce));
    message.set_tool_call_id(specials_.guard(message.tool_call_id(), nonce));
    for (wire::ToolCall& call : *message.mutable_tool_calls()) {
      call.set_id(specials_.guard(call.id(), nonce));
      call.set_name(specials_.guard(call.name(), nonce));
      call.set_arguments(specials_.guard_json(call.arguments(), nonce));
    }
  }
  for (wire::Tool& tool : *chat.mutable_tools()) {
    tool.set_name(specials_.guard(tool.name(), nonce));
    tool.set_description(specials_.guard(tool.description(), nonce));
    tool.set_parameters(specials_.guard_json(tool.parameters(), nonce));
  }
  return chat;
}

// The text of it still holds the marks of `nonce`, and no tokens.
base::Result<RenderedPrompt> Text::apply(const wire::Chat& request, std::string_view nonce) const {
  for (const wire::ChatMessage& message : request.messages()) {
    if (valid_role(message.role())) continue;
    return base::make_error(base::ErrorCode::invalid_request,
                            "A message has a role that is not a name.", "messages");
  }
  const wire::Chat chat = prepare_tools(guarded(request, nonce), tools_);
  common_chat_templates_inputs inputs = inputs_of(chat);
  if (!chat.reasoning_effort().empty() && knows_effort_) {
    const bool high = chat.reasoning_effort() == "max" && !knows_max_effort_;
    inputs.chat_template_kwargs["reasoning_effort"] =
        '"' + (high ? "high" : chat.reasoning_effort()) + '"';
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
  add_tools(chat, prompt);
  bool first = true;
  for (const PromptPiece& piece : *pieces) {
    if (piece.image) {
      prompt.images.push_back({prompt.tokens.size(), *piece.image});
      continue;
    }
    const base::Result<std::vector<Token>> tokens =
        piece.plain && marks_.contains(piece.text) ? tokens_of_mark(piece.text)
                                                   : tokens_of(piece.text, first, !piece.plain);
    if (tokens.has_error()) return tokens.error();
    prompt.tokens.insert(prompt.tokens.end(), tokens->begin(), tokens->end());
    prompt.text += piece.text;
    first = false;
  }
  // The template has opened the tag, or a client that begins the answer itself.
  if (ends_with_tag(prompt.text, tags_.open)) prompt.place = AnswerPlace::inside;
  return prompt;
}

// llama.cpp takes such tokens for special ones wherever they are whole.
base::Result<std::vector<Token>> Text::tokens_of_mark(std::string_view text) const {
  base::Result<std::vector<Token>> tokens = tokens_of(text.substr(0, 1), false, false);
  if (tokens.has_error()) return tokens;
  const base::Result<std::vector<Token>> more = tokens_of(text.substr(1), false, false);
  if (more.has_error()) return more;
  tokens->insert(tokens->end(), more->begin(), more->end());
  return tokens;
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
