#include "protocol/usage_check.hpp"

#include "protocol/body_outline.hpp"

#include <algorithm>
#include <span>

namespace deepseek::protocol {
namespace {

// Tenths of a token.
constexpr std::int64_t ascii_tenths = 3;
constexpr std::int64_t other_tenths = 6;

constexpr std::int64_t message_tokens = 4;   // the role and the marks around a message
constexpr std::int64_t image_tokens = 1024;  // of an image nobody here has seen

// Beyond what was sent and got: templates, the text around tools, tokens without text.
constexpr std::int64_t prompt_slack = 4096;
constexpr std::int64_t image_tokens_max = 32768;
constexpr std::int64_t completion_slack = 64;        // per answer
constexpr std::int64_t hidden_tokens_max = 1 << 20;  // of reasoning that the client does not see
constexpr std::int64_t best_of_max = 128;

// Names and arguments; what the JSON has around them is not the model's.
void add_tool_calls(std::string_view tool_calls, TokenEstimate& estimate) {
  JsonScanner scanner(tool_calls);
  JsonText key, text;
  if (!scanner.enter_array()) return;
  while (scanner.next_entry()) {
    const BodyOutline call = outline_body(scanner.value());
    const BodyField* function = call.find("function");
    if (function == nullptr || function->kind != BodyField::Kind::object) continue;
    JsonScanner fields(function->value);
    fields.enter_object();
    while (fields.next_key(key)) {
      if (fields.peek() != '"') {
        fields.value();
      } else if (fields.string(text)) {
        estimate.add(text);
      }
    }
  }
}

bool is_continuation_byte(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::int64_t count_images(const Request& request) {
  std::int64_t images = 0;
  for (const Message& message : request.messages) {
    images += std::count_if(
        message.content.begin(), message.content.end(),
        [](const ContentPart& part) { return std::holds_alternative<ImagePart>(part); });
  }
  return images;
}

// No tokenizer makes more tokens than bytes.
std::int64_t prompts_bound(std::span<const Prompt> prompts) {
  std::size_t bytes = 0;
  for (const Prompt& prompt : prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    bytes += text != nullptr ? text->size() : std::get<TokenIds>(prompt).size();
  }
  return static_cast<std::int64_t>(bytes) + prompt_slack;
}

// Adds the texts to `text`; returns the number of tokens that are tokens already.
std::int64_t add_prompts(std::span<const Prompt> prompts, TokenEstimate& text) {
  std::size_t exact = 0;
  for (const Prompt& prompt : prompts) {
    if (const auto* ids = std::get_if<TokenIds>(&prompt)) {
      exact += ids->size();
    } else {
      text.add(std::get<std::string>(prompt));
    }
  }
  return static_cast<std::int64_t>(exact);
}

std::int64_t prompt_tokens_bound(const Request& request) {
  std::size_t bytes = request.raw_body.size();
  for (const Message& message : request.messages) {
    for (const ContentPart& part : message.content) {
      if (const auto* text = std::get_if<TextPart>(&part)) bytes += text->text.size();
    }
  }
  return static_cast<std::int64_t>(bytes) + prompts_bound(request.prompts) +
         count_images(request) * image_tokens_max;
}

std::int64_t completion_tokens_bound(const Usage& usage, const Request& request,
                                     const DeliveredAnswer& delivered) {
  auto answers = static_cast<std::int64_t>(request.sequence_count());
  if (request.uses(Feature::best_of)) answers *= best_of_max;
  const bool bytes_bound = !delivered.other && !delivered.hidden && !request.uses(Feature::best_of);
  std::int64_t bound = hidden_tokens_max * answers;
  if (bytes_bound) {
    const std::int64_t hidden =
        delivered.reasoning ? 0 : std::clamp<std::int64_t>(usage.reasoning_tokens, 0, bound);
    bound = static_cast<std::int64_t>(delivered.text.bytes()) + hidden + completion_slack * answers;
  }
  if (request.tokens_max && !request.tokens_max_assumed) {
    bound = std::min(bound, (*request.tokens_max + completion_slack) * answers);
  }
  return bound;
}

std::int64_t clamp_part(std::int64_t part, std::int64_t whole) {
  return std::clamp<std::int64_t>(part, 0, whole);
}

}  // namespace

void TokenEstimate::add(std::string_view text) {
  std::int64_t ascii = 0, other = 0;
  for (const char c : text) {
    const bool plain = static_cast<unsigned char>(c) < 0x80;
    ascii += plain ? 1 : 0;
    other += !plain && !is_continuation_byte(c) ? 1 : 0;
  }
  tenths_ += ascii * ascii_tenths + other * other_tenths;
  bytes_ += text.size();
}

void TokenEstimate::add(const JsonText& text) {
  if (!text.escaped) {
    add(text.raw);
    return;
  }
  std::string_view rest = text.raw;
  while (!rest.empty()) {
    const std::size_t escape = std::min(rest.find('\\'), rest.size());
    add(rest.substr(0, escape));
    if (escape == rest.size()) return;
    const bool unicode = rest.substr(escape).starts_with("\\u");
    const std::size_t size = std::min<std::size_t>(unicode ? 6 : 2, rest.size() - escape);
    tenths_ += unicode ? other_tenths : ascii_tenths;
    bytes_ += unicode ? 3 : 1;  // the most that the character has as UTF-8
    rest.remove_prefix(escape + size);
  }
}

void DeliveredAnswer::add(const UpstreamChunk& chunk) {
  for (const UpstreamChoice& choice : chunk.choices) {
    text.add(choice.content);
    text.add(choice.reasoning);
    reasoning = reasoning || !choice.reasoning.empty();
    other = other || choice.other;
    hidden = hidden || !choice.signature.empty() || !choice.redacted.empty();
    if (!choice.tool_calls.empty()) add_tool_calls(choice.tool_calls, text);
    text.add(choice.tool.name);
    text.add(choice.tool.arguments);
  }
}

void DeliveredAnswer::add(const Event& event) {
  if (const auto* delta = std::get_if<Delta>(&event)) {
    text.add(delta->content);
    text.add(delta->reasoning);
    reasoning = reasoning || !delta->reasoning.empty();
  } else if (const auto* call = std::get_if<ToolCallDelta>(&event)) {
    text.add(call->name);
    text.add(call->arguments);
  }
}

std::int64_t estimate_tokens(std::string_view text) {
  TokenEstimate estimate;
  estimate.add(text);
  return estimate.tokens();
}

std::int64_t estimate_prompt_tokens(const Request& request) {
  TokenEstimate text;
  std::int64_t exact = count_images(request) * image_tokens;
  for (const Message& message : request.messages) {
    exact += message_tokens;
    for (const ContentPart& part : message.content) {
      if (const auto* piece = std::get_if<TextPart>(&part)) text.add(piece->text);
    }
    text.add(message.reasoning_content);
    for (const ToolCall& call : message.tool_calls) {
      text.add(call.name);
      text.add(call.arguments);
    }
  }
  exact += add_prompts(request.prompts, text);
  if (!speaks_openai(request.form)) {
    for (const Tool& tool : request.tools) {
      text.add(tool.name);
      text.add(tool.description);
      text.add(tool.parameters);
    }
  }
  const bool has_tools = request.uses(Feature::tools) || request.uses(Feature::functions);
  if (has_tools && speaks_openai(request.form)) {
    const BodyOutline outline = outline_body(request.raw_body);
    for (const std::string_view name : {"tools", "functions"}) {
      const BodyField* field = outline.find(name);
      if (field != nullptr) text.add(JsonText{field->value, true});
    }
  }
  return exact + text.tokens();
}

CheckedUsage check_usage(const std::optional<Usage>& reported, const Request& request,
                         const DeliveredAnswer& delivered) {
  CheckedUsage checked;
  Usage& usage = checked.usage;
  if (reported) usage = *reported;
  checked.prompt_estimated =
      !reported || usage.prompt_tokens <= 0 || usage.prompt_tokens > prompt_tokens_bound(request);
  const bool silent = usage.completion_tokens == 0 && delivered.text.bytes() == 0;
  checked.completion_estimated =
      !reported || (usage.completion_tokens <= 0 && !silent) ||
      usage.completion_tokens > completion_tokens_bound(usage, request, delivered);
  if (checked.prompt_estimated) {
    usage.prompt_tokens = estimate_prompt_tokens(request);
    usage.prompt_cache_hit_tokens = 0;
  }
  if (checked.completion_estimated) {
    usage.completion_tokens = delivered.text.tokens();
    usage.reasoning_tokens = 0;
  }
  usage.prompt_cache_hit_tokens = clamp_part(usage.prompt_cache_hit_tokens, usage.prompt_tokens);
  usage.reasoning_tokens = clamp_part(usage.reasoning_tokens, usage.completion_tokens);
  return checked;
}

std::int64_t check_embedding_tokens(std::int64_t reported, const EmbeddingRequest& request) {
  const bool likely = reported > 0 && reported <= prompts_bound(request.inputs);
  if (likely) return reported;
  TokenEstimate text;
  const std::int64_t exact = add_prompts(request.inputs, text);
  return exact + text.tokens();
}

CheckedUsage usage_of_broken(const std::optional<Usage>& reported, const Request& request,
                             const DeliveredAnswer& delivered, bool began) {
  if (!began) return {};
  return check_usage(reported, request, delivered);
}

}  // namespace deepseek::protocol
