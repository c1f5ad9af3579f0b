#include "protocol/openai_body.hpp"

#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

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

void append_tools(ObjectWriter& body, const Request& request) {
  if (request.tools.empty()) return;
  std::string& out = body.name("tools");
  append_list(out, request.tools, [&](const Tool& tool) {
    ObjectWriter entry(out);
    entry.string("type", "function");
    ObjectWriter function(entry.name("function"));
    function.string("name", tool.name);
    function.text("description", tool.description);
    if (!tool.parameters.empty()) function.json("parameters", tool.parameters);
    function.flag("strict", tool.strict);
    function.close();
    entry.close();
  });
  switch (request.tool_choice.kind) {
    case ToolChoice::Kind::automatic:
      break;
    case ToolChoice::Kind::none:
      body.string("tool_choice", "none");
      break;
    case ToolChoice::Kind::required:
      body.string("tool_choice", "required");
      break;
    case ToolChoice::Kind::named: {
      ObjectWriter choice(body.name("tool_choice"));
      choice.string("type", "function");
      ObjectWriter function(choice.name("function"));
      function.string("name", request.tool_choice.name);
      function.close();
      choice.close();
      break;
    }
  }
  if (!request.parallel_tool_calls) body.boolean("parallel_tool_calls", false);
}

// A schema that a client gave as text is passed as JSON where it is some.
void append_schema(std::string& out, const std::string& schema) {
  if (parse_json_object(schema, {})) {
    out += schema;
  } else {
    append_json_string(out, schema);
  }
}

void append_response_format(ObjectWriter& body, const Constraint& constraint) {
  ObjectWriter format(body.name("response_format"));
  if (constraint.kind == Constraint::Kind::json_object) {
    format.string("type", "json_object");
  } else {
    format.string("type", "json_schema");
    ObjectWriter schema(format.name("json_schema"));
    schema.string("name", constraint.name.empty() ? "answer" : constraint.name);
    append_schema(schema.name("schema"), constraint.text);
    schema.boolean("strict", constraint.strict);
    schema.close();
  }
  format.close();
}

// OpenAI's words where it has some, vLLM's for the rest.
void append_constraint(ObjectWriter& body, const Constraint& constraint) {
  if (constraint.kind == Constraint::Kind::none) return;
  if (constraint.kind == Constraint::Kind::json_object ||
      constraint.kind == Constraint::Kind::json_schema) {
    append_response_format(body, constraint);
    return;
  }
  ObjectWriter outputs(body.name("structured_outputs"));
  if (constraint.kind == Constraint::Kind::choice) {
    std::string& list = outputs.name("choice");
    append_list(list, constraint.choices,
                [&](const std::string& choice) { append_json_string(list, choice); });
  } else {
    const bool regex = constraint.kind == Constraint::Kind::regex;
    outputs.string(regex ? "regex" : "grammar", constraint.text);
  }
  outputs.close();
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
  append_tools(body, request);
  append_constraint(body, request.constraint);
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
