// Reads POST /v1/responses, OpenAI's newer form of a chat: items in place of messages.
#include "protocol/decode.hpp"
#include "protocol/item_reader.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

class ResponsesReader {
 public:
  ResponsesReader(JsonReader& body, const DecodeContext& context, ResponsesFields& fields,
                  Request& request)
      : body_(body),
        limits_(context.limits),
        stores_(context.responses != nullptr),
        fields_(fields),
        request_(request) {}

  void read_state();
  void read_input();
  void read_tools();
  void read_tool_choice();
  void read_text();
  void read_reasoning();
  void refuse_gaps();
  void write_echo();

 private:
  Bound name_bytes() const { return protocol::name_bytes(limits_); }

  JsonReader& body_;
  const RequestLimits& limits_;
  const bool stores_;
  ResponsesFields& fields_;
  Request& request_;
};

void ResponsesReader::read_input() {
  if (auto text = body_.optional_string("instructions", any_length)) {
    Message message;
    message.role = Role::system;
    message.content.emplace_back(TextPart{std::move(*text)});
    request_.messages.push_back(std::move(message));
    fields_.instructed = true;
  }
  request_.prompt_field = "input";
  ItemReader items(limits_, request_, fields_.stored ? &fields_.input_items : nullptr);
  const json::value* input = body_.find("input");
  if (input == nullptr) {
    body_.refuse("input", "input is missing; it must be a string or a list of items");
  } else if (input->is_string()) {
    items.read_text(text_of(*input));
  } else if (!input->is_array()) {
    body_.refuse_value("input", "a string or a list of items", *input);
  } else {
    const Bound bound{limits_.messages_max, "limits.messages_max"};
    items.read_list(body_, body_.optional_list("input", bound), "input");
  }
}

void ResponsesReader::read_tools() {
  const json::value* value = body_.find("tools");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list = body_.optional_list("tools", tools_bound);
  note_feature(request_, Feature::tools, "tools");
  each_object(body_, list, "tools", [&](JsonReader& tool) {
    const std::string type = tool.required_string("type", {64});
    if (type != "function" && !tool.failed()) {
      refuse_gap(tool, "type",
                 "tools that run at the provider are not offered here; only \"function\", found " +
                     quote_value(type));
      return;
    }
    Tool made;
    made.name = tool.required_string("name", name_bytes());
    made.description = tool.optional_string("description", any_length).value_or("");
    made.strict = tool.optional_boolean("strict").value_or(false);
    made.parameters = read_schema_object(tool, "parameters");
    request_.tools.push_back(std::move(made));
  });
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
  check_forced_choice(body_, request_);
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
    made.text = read_schema_object(*format, "schema", true);
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
  constexpr std::array<std::string_view, 7> known{"none", "minimal", "low", "medium",
                                                  "high", "xhigh",   "max"};
  request_.reasoning_effort = read_word(*reasoning, "effort", known);
}

// Kept responses, as far as this server keeps any.
void ResponsesReader::read_state() {
  fields_.stored = body_.optional_boolean("store").value_or(true) && stores_;
  if (stores_) {
    fields_.previous_id = body_.optional_string("previous_response_id", name_bytes()).value_or("");
  } else if (body_.find("previous_response_id") != nullptr) {
    refuse_gap(body_, "previous_response_id",
               "this server keeps no responses (responses.enabled); send all items in input");
  }
}

void ResponsesReader::refuse_gaps() {
  if (body_.find("conversation") != nullptr) {
    refuse_gap(body_, "conversation",
               "there are no conversations here; go on from a response by previous_response_id");
  }
  if (body_.find("prompt") != nullptr) {
    refuse_gap(body_, "prompt", "there are no stored prompts here; send their text");
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
  repeat("previous_response_id", "null");
  repeat("reasoning", "{\"effort\":null,\"summary\":null}");
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
  ResponsesFields unkept;
  ResponsesFields& fields = context.responses == nullptr ? unkept : *context.responses;
  fields = {};
  ResponsesReader parts(reader, context, fields, request);
  parts.read_state();
  parts.read_input();
  parts.read_tools();
  parts.read_tool_choice();
  parts.read_text();
  parts.read_reasoning();
  parts.refuse_gaps();
  request.parallel_tool_calls = reader.optional_boolean("parallel_tool_calls").value_or(true);
  request.sampling.temperature = reader.optional_number("temperature", {0, 2});
  read_top_p(reader, request);
  read_tokens_max(reader, limits, request, {"max_output_tokens"});
  reader.optional_object("metadata");
  const Bound user_bytes{limits.user_bytes_max, "limits.user_bytes_max"};
  request.user = reader.optional_string("user", user_bytes).value_or("");
  request.stream = reader.optional_boolean("stream").value_or(false);
  if (!reader.failed()) parts.write_echo();
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
