#include "protocol/anthropic_body.hpp"

#include "protocol/anthropic_image.hpp"
#include "protocol/anthropic_signature.hpp"
#include "protocol/body_outline.hpp"
#include "protocol/body_splice.hpp"
#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace deepseek::protocol {
namespace {

constexpr std::int64_t thinking_tokens_min = 1024;  // Anthropic takes no less
constexpr std::int64_t thinking_tokens_default = 8192;
constexpr double top_p_min_thinking = 0.95;

// Ids that other models make may hold what this form refuses; the same id becomes the same text.
std::string plain_id(std::string_view id) {
  std::string out(id);
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!plain) c = '_';
  }
  return out.empty() ? "call" : out;
}

// Messages as turns: what one side says in a row is one turn, since the other must follow.
class Turns {
 public:
  explicit Turns(std::string& out) : out_(out) { out_ += '['; }

  void turn(bool assistant) { wanted_ = assistant; }
  // Where the next block of the turn is written. A turn without blocks leaves no trace.
  std::string& block() {
    if (!open_ || *open_ != wanted_) {
      end_turn();
      if (out_.back() != '[') out_ += ',';
      out_ += wanted_ ? R"({"role":"assistant","content":[)" : R"({"role":"user","content":[)";
      open_ = wanted_;
    } else {
      out_ += ',';
    }
    return out_;
  }
  void text(std::string_view text) {
    if (text.empty()) return;
    ObjectWriter object(block());
    object.string("type", "text");
    object.string("text", text);
    object.close();
  }
  void close() {
    end_turn();
    out_ += ']';
  }

 private:
  void end_turn() {
    if (open_) out_ += "]}";
    open_.reset();
  }

  std::string& out_;
  bool wanted_ = false;
  std::optional<bool> open_;  // whose turn is being written
};

void append_image(std::string& out, const ImagePart& image) {
  const ImageSource source = read_image_source(image.url).value_or(ImageSource{{}, image.url});
  ObjectWriter object(out);
  object.string("type", "image");
  ObjectWriter inner(object.name("source"));
  inner.string("type", source.media_type.empty() ? "url" : "base64");
  inner.text("media_type", source.media_type);
  inner.string(source.media_type.empty() ? "url" : "data", source.data);
  inner.close();
  object.close();
}

void append_parts(Turns& turns, const Message& message) {
  for (const ContentPart& part : message.content) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      turns.text(text->text);
    } else {
      append_image(turns.block(), std::get<ImagePart>(part));
    }
  }
}

void append_result(Turns& turns, const Message& message) {
  turns.turn(false);
  std::string& out = turns.block();
  ObjectWriter object(out);
  object.string("type", "tool_result");
  object.string("tool_use_id", plain_id(message.tool_call_id));
  const bool only_text = std::ranges::all_of(message.content, [](const ContentPart& part) {
    return std::holds_alternative<TextPart>(part);
  });
  if (only_text) {
    object.string("content", message.text());
  } else {
    append_list(object.name("content"), message.content, [&](const ContentPart& part) {
      if (const auto* image = std::get_if<ImagePart>(&part)) return append_image(out, *image);
      ObjectWriter text(out);
      text.string("type", "text");
      text.string("text", std::get<TextPart>(part).text);
      text.close();
    });
  }
  object.flag("is_error", message.tool_failed);
  object.close();
}

void append_thinking(Turns& turns, const Message& message) {
  if (is_real_signature(message.reasoning_signature)) {
    ObjectWriter object(turns.block());
    object.string("type", "thinking");
    object.string("thinking", message.reasoning_content);
    object.string("signature", message.reasoning_signature);
    object.close();
  }
  for (const std::string& data : message.redacted_reasoning) {
    ObjectWriter object(turns.block());
    object.string("type", "redacted_thinking");
    object.string("data", data);
    object.close();
  }
}

void append_assistant(Turns& turns, const Message& message, bool thinks) {
  turns.turn(true);
  if (thinks) append_thinking(turns, message);
  append_parts(turns, message);
  for (const ToolCall& call : message.tool_calls) {
    ObjectWriter object(turns.block());
    object.string("type", "tool_use");
    object.string("id", plain_id(call.id));
    object.string("name", call.name);
    append_tool_input(object.name("input"), call.arguments);
    object.close();
  }
}

bool is_system(const Message& message) {
  return message.role == Role::system || message.role == Role::developer;
}

// The message that the answer goes on with.
const Message* prefill_of(const Request& request) {
  if (request.messages.empty()) return nullptr;
  const Message& last = request.messages.back();
  return last.role == Role::assistant && last.tool_calls.empty() ? &last : nullptr;
}

SaidSpace append_messages(std::string& out, const Request& request, const AnswerSoFar* so_far) {
  const Message* const prefill = prefill_of(request);
  Turns turns(out);
  for (const Message& message : request.messages) {
    if (is_system(message) || &message == prefill) continue;
    if (message.role == Role::tool) {
      append_result(turns, message);
    } else if (message.role == Role::assistant) {
      append_assistant(turns, message, true);
    } else {
      turns.turn(false);
      append_parts(turns, message);
    }
  }
  if (request.operation == Operation::completion && !request.prompts.empty()) {
    const auto* prompt = std::get_if<std::string>(&request.prompts.front());
    if (prompt != nullptr) turns.text(*prompt);
  }
  std::string said = prefill == nullptr ? std::string() : prefill->text();
  if (so_far != nullptr) said += so_far->content;
  SaidSpace space = SaidSpace::cut_from(said);
  turns.turn(true);
  turns.text(said);
  turns.close();
  return space;
}

void append_system(ObjectWriter& body, const Request& request) {
  std::vector<std::string_view> texts;
  for (const Message& message : request.messages) {
    if (!is_system(message)) continue;
    for (const ContentPart& part : message.content) {
      const auto* text = std::get_if<TextPart>(&part);
      if (text != nullptr && !text->text.empty()) texts.emplace_back(text->text);
    }
  }
  if (texts.empty()) return;
  if (texts.size() == 1) return body.string("system", texts.front());
  std::string& out = body.name("system");
  append_list(out, texts, [&](std::string_view text) {
    ObjectWriter block(out);
    block.string("type", "text");
    block.string("text", text);
    block.close();
  });
}

// Other forms take a schema that says nothing; this one wants its type.
std::string schema_of(const Tool& tool) {
  if (tool.parameters.empty()) return R"({"type":"object","properties":{}})";
  const BodyOutline outline = outline_body(tool.parameters);
  if (outline.find("type") != nullptr) return tool.parameters;
  BodySplice splice(outline);
  splice.set("type", "\"object\"");
  return splice.text();
}

void append_tools(ObjectWriter& body, const Request& request) {
  if (request.tools.empty()) return;
  std::string& out = body.name("tools");
  append_list(out, request.tools, [&](const Tool& tool) {
    ObjectWriter entry(out);
    entry.string("name", tool.name);
    entry.text("description", tool.description);
    entry.json("input_schema", schema_of(tool));
    entry.flag("strict", tool.strict);
    entry.close();
  });
  using Kind = ToolChoice::Kind;
  const Kind kind = request.tool_choice.kind;
  if (kind == Kind::automatic && request.parallel_tool_calls) return;
  constexpr std::array<std::string_view, 4> words{"auto", "none", "any", "tool"};
  ObjectWriter choice(body.name("tool_choice"));
  choice.string("type", words[static_cast<std::size_t>(kind)]);
  if (kind == Kind::named) choice.string("name", request.tool_choice.name);
  choice.flag("disable_parallel_tool_use", !request.parallel_tool_calls && kind != Kind::none);
  choice.close();
}

std::int64_t tokens_of_effort(std::string_view effort) {
  if (effort == "minimal" || effort == "low") return 2048;
  if (effort == "high") return 16'384;
  if (effort == "xhigh" || effort == "max" || effort == "ultra") return 32'768;
  return thinking_tokens_default;
}

// Tokens that the model may think with; nothing if it shall not. At most half of the limit that
// the client set, so that there is room for an answer.
std::optional<std::int64_t> thinking_budget(const Request& request, bool continues) {
  const std::string& effort = request.reasoning_effort;
  const bool wanted =
      request.thinking.value_or(request.thinking_tokens || (!effort.empty() && effort != "none"));
  if (!wanted || !may_think(request, continues)) return std::nullopt;
  std::int64_t budget = request.thinking_tokens.value_or(tokens_of_effort(effort));
  budget = std::max(budget, thinking_tokens_min);
  if (request.tokens_max) budget = std::min<std::int64_t>(budget, *request.tokens_max / 2);
  return budget < thinking_tokens_min ? std::nullopt : std::optional(budget);
}

// Other forms go up to 2, where 1 is the model's own measure too; while thinking it is the only
// one. Models take a temperature or top_p, not both.
void append_sampling(ObjectWriter& body, const Sampling& sampling, bool thinks) {
  const bool wide = sampling.top_p.value_or(1) < 1;
  if (thinks) {
    if (wide && *sampling.top_p >= top_p_min_thinking) body.number("top_p", sampling.top_p);
    return;
  }
  if (sampling.temperature) {
    body.number("temperature", std::min(*sampling.temperature, 1.0));
  } else if (wide) {
    body.number("top_p", sampling.top_p);
  }
  if (sampling.top_k.value_or(0) > 0) body.integer("top_k", sampling.top_k);
}

}  // namespace

bool is_real_signature(std::string_view signature) {
  return !signature.empty() && signature != own_signature;
}

bool may_think(const Request& request, bool continues) {
  if (continues || prefill_of(request) != nullptr) return false;
  const ToolChoice::Kind kind = request.tool_choice.kind;
  if (kind == ToolChoice::Kind::required || kind == ToolChoice::Kind::named) return false;
  // The turn that goes on with results of tools must have begun with thinking.
  bool has_results = false;
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    has_results = has_results || message->role == Role::tool;
    if (message->role != Role::assistant) continue;
    return !has_results || message->tool_calls.empty() || !message->redacted_reasoning.empty() ||
           is_real_signature(message->reasoning_signature);
  }
  return true;
}

AnthropicBody made_anthropic_body(const Request& request, const AnthropicTarget& target,
                                  const AnswerSoFar* so_far) {
  AnthropicBody made;
  const auto thinking = thinking_budget(request, so_far != nullptr);
  std::int64_t tokens = request.tokens_max.value_or(
      static_cast<std::int32_t>(target.answer_tokens) + thinking.value_or(0));
  if (so_far != nullptr && request.tokens_max) {
    tokens -= std::max<std::int64_t>(so_far->tokens, 0);
    made.complete = tokens < 1;
    if (made.complete) return made;
  }
  made.text.reserve(512);
  ObjectWriter body(made.text);
  body.string("model", target.model.empty() ? std::string_view(request.model) : target.model);
  body.integer("max_tokens", tokens);
  append_system(body, request);
  made.said = append_messages(body.name("messages"), request, so_far);
  append_tools(body, request);
  append_sampling(body, request.sampling, thinking.has_value());
  if (!request.stop.empty()) {
    std::string& list = body.name("stop_sequences");
    append_list(list, request.stop,
                [&](const std::string& stop) { append_json_string(list, stop); });
  }
  body.flag("stream", request.stream);
  if (thinking) {
    ObjectWriter object(body.name("thinking"));
    object.string("type", "enabled");
    object.integer("budget_tokens", thinking);
    object.close();
  }
  const std::string& user = request.user_id.empty() ? request.user : request.user_id;
  if (!user.empty()) {
    ObjectWriter metadata(body.name("metadata"));
    metadata.string("user_id", user);
    metadata.close();
  }
  body.close();
  return made;
}

}  // namespace deepseek::protocol
