#include "protocol/openai_body.hpp"

#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

// Writes the fields of one object; those that are unset leave no trace.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  // The name and the colon; the caller appends the value.
  std::string& name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void text(std::string_view field, std::string_view value) {
    if (!value.empty()) append_json_string(name(field), value);
  }
  void number(std::string_view field, std::optional<double> value) {
    if (value) append_json_number(name(field), *value);
  }
  void integer(std::string_view field, std::optional<std::int64_t> value) {
    if (value) append_json_integer(name(field), *value);
  }
  void flag(std::string_view field, bool value) {
    if (value) name(field) += "true";
  }
  void close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class List, class Append>
void append_list(std::string& out, const List& list, const Append& append) {
  out += '[';
  bool first = true;
  for (const auto& entry : list) {
    if (!first) out += ',';
    first = false;
    append(entry);
  }
  out += ']';
}

void append_part(std::string& out, const ContentPart& part) {
  ObjectWriter object(out);
  if (const auto* text = std::get_if<TextPart>(&part)) {
    object.name("type") += "\"text\"";
    append_json_string(object.name("text"), text->text);
  } else {
    const auto& image = std::get<ImagePart>(part);
    object.name("type") += "\"image_url\"";
    ObjectWriter url(object.name("image_url"));
    url.text("url", image.url);
    url.text("detail", image.detail);
    url.close();
  }
  object.close();
}

void append_content(std::string& out, const Message& message) {
  const bool one_text =
      message.content.size() == 1 && std::holds_alternative<TextPart>(message.content.front());
  if (one_text) {
    append_json_string(out, std::get<TextPart>(message.content.front()).text);
  } else if (message.content.empty()) {
    out += message.tool_calls.empty() ? "\"\"" : "null";
  } else {
    append_list(out, message.content, [&](const ContentPart& part) { append_part(out, part); });
  }
}

void append_message(std::string& out, const Message& message) {
  ObjectWriter object(out);
  object.text("role", to_string(message.role));
  append_content(object.name("content"), message);
  object.text("name", message.name);
  object.text("reasoning_content", message.reasoning_content);
  if (!message.tool_calls.empty()) append_tool_calls(object.name("tool_calls"), message.tool_calls);
  object.text("tool_call_id", message.tool_call_id);
  object.flag("prefix", message.prefix);
  object.close();
}

void append_prompt(std::string& out, const Prompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    append_json_string(out, *text);
    return;
  }
  append_list(out, std::get<TokenIds>(prompt),
              [&](std::int32_t id) { append_json_integer(out, id); });
}

void append_input(ObjectWriter& body, const Request& request) {
  if (request.operation == Operation::chat) {
    std::string& out = body.name("messages");
    append_list(out, request.messages,
                [&](const Message& message) { append_message(out, message); });
    return;
  }
  std::string& out = body.name("prompt");
  if (request.prompts.size() == 1) {
    append_prompt(out, request.prompts.front());
  } else {
    append_list(out, request.prompts, [&](const Prompt& prompt) { append_prompt(out, prompt); });
  }
  body.flag("echo", request.echo);
}

void append_sampling(ObjectWriter& body, const Sampling& sampling) {
  body.number("temperature", sampling.temperature);
  body.number("top_p", sampling.top_p);
  body.number("min_p", sampling.min_p);
  body.integer("top_k", sampling.top_k);
  body.number("frequency_penalty", sampling.frequency_penalty);
  body.number("presence_penalty", sampling.presence_penalty);
  body.number("repetition_penalty", sampling.repetition_penalty);
  // A negative seed kept its bits when it was read, so this gives it back.
  if (sampling.seed) body.integer("seed", static_cast<std::int64_t>(*sampling.seed));
  if (!sampling.logit_bias.empty()) {
    std::string& out = body.name("logit_bias");
    ObjectWriter biases(out);
    for (const auto& [token, bias] : sampling.logit_bias) {
      append_json_number(biases.name(std::to_string(token)), bias);
    }
    biases.close();
  }
  body.flag("ignore_eos", sampling.ignore_eos);
}

void append_logprobs(ObjectWriter& body, const Request& request) {
  if (!request.logprobs) return;
  if (request.operation == Operation::completion) {
    body.integer("logprobs", request.logprobs);
    return;
  }
  body.flag("logprobs", true);
  if (*request.logprobs > 0) body.integer("top_logprobs", request.logprobs);
}

}  // namespace

std::string openai_body(const Request& request) {
  std::string out;
  out.reserve(512);
  ObjectWriter body(out);
  body.text("model", request.model);
  append_input(body, request);
  append_sampling(body, request.sampling);
  body.integer("max_tokens", request.tokens_max);
  if (!request.stop.empty()) {
    std::string& list = body.name("stop");
    append_list(list, request.stop,
                [&](const std::string& stop) { append_json_string(list, stop); });
  }
  if (request.choices != 1) body.integer("n", request.choices);
  append_logprobs(body, request);
  body.flag("stream", request.stream);
  if (request.stream && request.stream_usage) {
    body.name("stream_options") += "{\"include_usage\":true}";
  }
  body.text("user", request.user);
  body.text("user_id", request.user_id);
  if (request.thinking) {
    body.name("thinking") +=
        *request.thinking ? "{\"type\":\"enabled\"}" : "{\"type\":\"disabled\"}";
  }
  body.text("reasoning_effort", request.reasoning_effort);
  body.close();
  return out;
}

}  // namespace deepseek::protocol
