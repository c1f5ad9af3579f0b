// Reads POST /v1/responses, OpenAI's newer form of a chat: items in place of messages. Items that
// one turn of the model is made of (reasoning, a message, calls) become one message again.
#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr Bound any_length{std::numeric_limits<std::int64_t>::max()};
constexpr Bound tools_bound{1024};

std::string text_of(const json::value& value) {
  return {value.get_string().data(), value.get_string().size()};
}

class ResponsesReader {
 public:
  ResponsesReader(JsonReader& body, const RequestLimits& limits, Request& request)
      : body_(body), limits_(limits), request_(request) {}

  void read_input();
  void read_tools();
  void read_tool_choice();
  void read_text();
  void read_reasoning();
  void refuse_gaps();
  void write_echo();

 private:
  Bound name_bytes() const { return {limits_.name_bytes_max, "limits.name_bytes_max"}; }
  void refuse_gap(JsonReader& reader, std::string_view field, std::string_view why);
  void read_item(JsonReader& item);
  void read_message(JsonReader& item);
  void read_parts(JsonReader& holder, std::string_view field, Message& message);
  void read_part(JsonReader& part, Message& message);
  void read_call(JsonReader& item);
  void read_reasoning_item(JsonReader& item);
  Message& turn(bool wants_content);

  JsonReader& body_;
  const RequestLimits& limits_;
  Request& request_;
};

void ResponsesReader::refuse_gap(JsonReader& reader, std::string_view field, std::string_view why) {
  const std::string path = reader.path_of(field);
  reader.refuse(path, path + ": " + std::string(why), base::ErrorCode::not_implemented);
}

// The message of the model that the next item belongs to.
Message& ResponsesReader::turn(bool wants_content) {
  const bool fits = !request_.messages.empty() &&
                    request_.messages.back().role == Role::assistant &&
                    !(wants_content && (!request_.messages.back().content.empty() ||
                                        !request_.messages.back().tool_calls.empty()));
  if (!fits) request_.messages.emplace_back().role = Role::assistant;
  return request_.messages.back();
}

void ResponsesReader::read_part(JsonReader& part, Message& message) {
  const std::string type = part.required_string("type", {64});
  if (part.failed()) return;
  if (type == "input_text" || type == "output_text" || type == "text") {
    message.content.emplace_back(TextPart{part.required_string("text", any_length)});
  } else if (type == "refusal") {
    message.content.emplace_back(TextPart{part.required_string("refusal", any_length)});
  } else if (type == "input_image") {
    ImagePart image{part.optional_string("image_url", any_length).value_or(""),
                    part.optional_string("detail", {64}).value_or("")};
    const bool known = image.url.starts_with("https://") || image.url.starts_with("data:");
    if (!known && !part.failed()) {
      part.refuse(part.path_of("image_url"), part.path_of("image_url") +
                                                 " must begin with https:// or data:, found " +
                                                 quote_value(image.url));
    }
    note_feature(request_, Feature::images, part.path());
    message.content.push_back(std::move(image));
  } else {
    part.refuse(part.path_of("type"),
                part.path_of("type") +
                    " must be \"input_text\", \"output_text\" or \"input_image\", found " +
                    quote_value(type),
                base::ErrorCode::not_implemented);
  }
}

void ResponsesReader::read_parts(JsonReader& holder, std::string_view field, Message& message) {
  const std::string path = holder.path_of(field);
  const json::value* content = holder.find(field);
  if (content == nullptr) {
    holder.refuse(path, path + " is missing; it must be a string or a list of parts");
  } else if (content->is_string()) {
    message.content.emplace_back(TextPart{text_of(*content)});
  } else if (!content->is_array()) {
    holder.refuse_value(path, "a string or a list of parts", *content);
  } else {
    const json::array& parts = content->get_array();
    if (static_cast<std::int64_t>(parts.size()) > limits_.parts_max) {
      holder.check_entries(parts, path, {limits_.parts_max, "limits.parts_max"});
      return;
    }
    for (std::size_t i = 0; i < parts.size() && !holder.failed(); ++i) {
      auto part = holder.object(parts[i], entry_path(path, i));
      if (part) read_part(*part, message);
    }
    if (message.content.empty()) message.content.emplace_back(TextPart{});
  }
}

void ResponsesReader::read_message(JsonReader& item) {
  const std::string role = item.required_string("role", {64});
  if (role == "assistant") {
    Message& message = turn(true);
    read_parts(item, "content", message);
    return;
  }
  Message message;
  if (role == "system") {
    message.role = Role::system;
  } else if (role == "developer") {
    message.role = Role::developer;
  } else if (role != "user" && !item.failed()) {
    item.refuse(item.path_of("role"), item.path_of("role") +
                                          " must be user, assistant, system or developer, found " +
                                          quote_value(role));
  }
  read_parts(item, "content", message);
  request_.messages.push_back(std::move(message));
}

void ResponsesReader::read_call(JsonReader& item) {
  ToolCall call;
  call.id = item.required_string("call_id", name_bytes());
  call.name = item.required_string("name", name_bytes());
  call.arguments = item.required_string("arguments", any_length);
  Message& message = turn(false);
  if (static_cast<std::int64_t>(message.tool_calls.size()) >= limits_.tool_calls_max) {
    item.refuse(item.path(), item.path() + ": a turn has at most " +
                                 std::to_string(limits_.tool_calls_max) +
                                 " calls (limits.tool_calls_max)");
    return;
  }
  message.tool_calls.push_back(std::move(call));
}

// The text itself where it is given, else its summary.
void ResponsesReader::read_reasoning_item(JsonReader& item) {
  std::string text;
  for (const std::string_view field : {"content", "summary"}) {
    const json::value* value = item.find(field);
    if (value == nullptr || !text.empty()) continue;
    const std::string path = item.path_of(field);
    if (!value->is_array()) {
      item.refuse_value(path, "a list", *value);
      return;
    }
    const json::array& parts = value->get_array();
    for (std::size_t i = 0; i < parts.size() && !item.failed(); ++i) {
      auto part = item.object(parts[i], entry_path(path, i));
      if (part) text += part->required_string("text", any_length);
    }
  }
  turn(true).reasoning_content += text;
}

void ResponsesReader::read_item(JsonReader& item) {
  const std::string type = item.optional_string("type", {64}).value_or("message");
  if (type == "message") {
    read_message(item);
  } else if (type == "function_call") {
    read_call(item);
  } else if (type == "function_call_output") {
    Message result;
    result.role = Role::tool;
    result.tool_call_id = item.required_string("call_id", name_bytes());
    read_parts(item, "output", result);
    request_.messages.push_back(std::move(result));
  } else if (type == "reasoning") {
    read_reasoning_item(item);
  } else {
    refuse_gap(item, "type",
               "an item must be \"message\", \"function_call\", \"function_call_output\" or "
               "\"reasoning\", found " +
                   quote_value(type));
  }
}

void ResponsesReader::read_input() {
  if (auto text = body_.optional_string("instructions", any_length)) {
    Message message;
    message.role = Role::system;
    message.content.emplace_back(TextPart{std::move(*text)});
    request_.messages.push_back(std::move(message));
  }
  request_.prompt_field = "input";
  const json::value* input = body_.find("input");
  if (input == nullptr) {
    body_.refuse("input", "input is missing; it must be a string or a list of items");
  } else if (input->is_string()) {
    Message message;
    message.content.emplace_back(TextPart{text_of(*input)});
    request_.messages.push_back(std::move(message));
  } else if (!input->is_array()) {
    body_.refuse_value("input", "a string or a list of items", *input);
  } else {
    const json::array* items =
        body_.optional_list("input", {limits_.messages_max, "limits.messages_max"});
    for (std::size_t i = 0; items != nullptr && i < items->size() && !body_.failed(); ++i) {
      auto item = body_.object((*items)[i], entry_path("input", i));
      if (item) read_item(*item);
    }
  }
}

void ResponsesReader::read_tools() {
  const json::value* value = body_.find("tools");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list = body_.optional_list("tools", tools_bound);
  note_feature(request_, Feature::tools, "tools");
  for (std::size_t i = 0; list != nullptr && i < list->size() && !body_.failed(); ++i) {
    auto tool = body_.object((*list)[i], entry_path("tools", i));
    if (!tool) return;
    const std::string type = tool->required_string("type", {64});
    if (type != "function" && !tool->failed()) {
      refuse_gap(*tool, "type",
                 "tools that run at the provider are not offered here; only \"function\", found " +
                     quote_value(type));
      return;
    }
    Tool made;
    made.name = tool->required_string("name", name_bytes());
    made.description = tool->optional_string("description", any_length).value_or("");
    made.strict = tool->optional_boolean("strict").value_or(false);
    const json::value* parameters = tool->find("parameters");
    if (parameters != nullptr && !parameters->is_object()) {
      tool->refuse_value(tool->path_of("parameters"), "a JSON Schema object", *parameters);
    } else if (parameters != nullptr) {
      made.parameters = json::serialize(*parameters);
    }
    request_.tools.push_back(std::move(made));
  }
}

void ResponsesReader::read_tool_choice() {
  const json::value* value = body_.find("tool_choice");
  if (value == nullptr) return;
  using Kind = ToolChoice::Kind;
  if (value->is_object()) {
    auto choice = body_.object(*value, "tool_choice");
    const std::string type = choice->required_string("type", {64});
    if (type != "function" && !choice->failed()) {
      refuse_gap(*choice, "type", "only \"function\" is offered here, found " + quote_value(type));
      return;
    }
    request_.tool_choice = {Kind::named, choice->required_string("name", name_bytes())};
  } else if (value->is_string() && value->get_string() == "none") {
    request_.tool_choice.kind = Kind::none;
  } else if (value->is_string() && value->get_string() == "required") {
    request_.tool_choice.kind = Kind::required;
  } else if (!value->is_string() || value->get_string() != "auto") {
    body_.refuse_value("tool_choice", "\"auto\", \"none\", \"required\" or a function", *value);
  }
  const bool forced =
      request_.tool_choice.kind == Kind::required || request_.tool_choice.kind == Kind::named;
  if (forced && request_.tools.empty()) {
    body_.refuse("tool_choice", "tool_choice asks for a tool, but tools is empty");
  }
}

void ResponsesReader::read_text() {
  auto text = body_.optional_object("text");
  if (!text) return;
  auto format = text->optional_object("format");
  if (!format) return;
  const std::string type = format->required_string("type", {64});
  if (format->failed() || type == "text") return;
  Constraint made;
  made.param = "text.format";
  if (type == "json_object") {
    made.kind = Constraint::Kind::json_object;
  } else if (type == "json_schema") {
    made.kind = Constraint::Kind::json_schema;
    made.param = "text.format.schema";
    made.name = format->optional_string("name", name_bytes()).value_or("");
    made.strict = format->optional_boolean("strict").value_or(true);
    const json::value* schema = format->find("schema");
    if (schema == nullptr) {
      format->refuse(made.param, made.param + " is missing");
    } else if (!schema->is_object()) {
      format->refuse_value(made.param, "a JSON Schema object", *schema);
    } else {
      made.text = json::serialize(*schema);
    }
  } else {
    format->refuse("text.format.type",
                   "text.format.type must be \"text\", \"json_object\" or \"json_schema\", found " +
                       quote_value(type));
  }
  note_feature(request_, Feature::response_format, made.param);
  request_.constraint = std::move(made);
}

void ResponsesReader::read_reasoning() {
  auto reasoning = body_.optional_object("reasoning");
  if (!reasoning) return;
  const auto effort = reasoning->optional_string("effort", {64});
  if (!effort) return;
  constexpr std::array<std::string_view, 7> known{"none", "minimal", "low", "medium",
                                                  "high", "xhigh",   "max"};
  if (std::ranges::find(known, *effort) == known.end()) {
    reasoning->refuse("reasoning.effort",
                      "reasoning.effort must be none, minimal, low, medium, high, xhigh or max, "
                      "found " +
                          quote_value(*effort));
  }
  request_.reasoning_effort = *effort;
}

void ResponsesReader::refuse_gaps() {
  for (const std::string_view field : {"previous_response_id", "conversation", "prompt"}) {
    if (body_.find(field) != nullptr) {
      refuse_gap(body_, field, "this server keeps no responses; send all items in input");
    }
  }
  if (body_.optional_boolean("background").value_or(false)) {
    refuse_gap(body_, "background", "answers are given at once or as a stream");
  }
  const auto truncation = body_.optional_string("truncation", {64});
  if (truncation && *truncation != "disabled") {
    refuse_gap(body_, "truncation", "only \"disabled\" is offered here");
  }
  if (body_.optional_integer("top_logprobs", 0, {20}).value_or(0) > 0) {
    refuse_gap(body_, "top_logprobs", "ask POST /v1/chat/completions for logprobs");
  }
}

// What the response repeats of the request.
void ResponsesReader::write_echo() {
  std::string out;
  ObjectWriter echo(out);
  const auto repeat = [&](std::string_view field, std::string_view otherwise) {
    const json::value* value = body_.find(field);
    if (value != nullptr && value->is_double()) {
      append_json_number(echo.name(field), value->get_double());
    } else {
      echo.json(field, value == nullptr ? std::string(otherwise) : json::serialize(*value));
    }
  };
  repeat("instructions", "null");
  repeat("max_output_tokens", "null");
  repeat("metadata", "{}");
  repeat("parallel_tool_calls", "true");
  echo.json("previous_response_id", "null");
  repeat("reasoning", "{\"effort\":null,\"summary\":null}");
  echo.json("store", "false");
  repeat("temperature", "null");
  repeat("text", "{\"format\":{\"type\":\"text\"}}");
  repeat("tool_choice", "\"auto\"");
  repeat("tools", "[]");
  repeat("top_p", "null");
  echo.string("truncation", "disabled");
  repeat("user", "null");
  echo.close();
  request_.response_echo = out.substr(1);  // without the bracket: more fields come before it
}

}  // namespace

base::Result<Request> decode_responses(std::string_view body, const DecodeContext& context) {
  const RequestLimits& limits = context.limits;
  const auto object = parse_json_object(body, limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  Request request;
  ResponsesReader parts(reader, limits, request);
  parts.read_input();
  parts.read_tools();
  parts.read_tool_choice();
  parts.read_text();
  parts.read_reasoning();
  parts.refuse_gaps();
  request.parallel_tool_calls = reader.optional_boolean("parallel_tool_calls").value_or(true);
  request.sampling.temperature = reader.optional_number("temperature", {0, 2});
  request.sampling.top_p = reader.optional_number("top_p", {0, 1});
  if (request.sampling.top_p == 0.0) request.sampling.top_p = 1e-6;
  read_tokens_max(reader, limits, request, {"max_output_tokens"});
  reader.optional_object("metadata");
  reader.optional_boolean("store");
  const Bound user_bytes{limits.user_bytes_max, "limits.user_bytes_max"};
  request.user = reader.optional_string("user", user_bytes).value_or("");
  request.stream = reader.optional_boolean("stream").value_or(false);
  if (!reader.failed()) parts.write_echo();
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
