// Reads POST /v1/messages, Anthropic's form of a chat. A message with results of tools becomes one
// message for each result, and one for what else it says.
#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::string_view blocks_wanted = "a string or a list of blocks";

class AnthropicReader {
 public:
  AnthropicReader(JsonReader& body, const RequestLimits& limits, Request& request)
      : body_(body), limits_(limits), request_(request) {}

  void read_system();
  void read_messages();
  void read_tools();
  void read_tool_choice();
  void read_sampling();
  void read_stop();
  void read_thinking();
  void read_output();
  void refuse_hosted();

 private:
  Bound name_bytes() const { return protocol::name_bytes(limits_); }
  const json::array* list_of(JsonReader& reader, const json::value& value,
                             const std::string& path) const {
    return parts_of(reader, limits_, value, path, blocks_wanted);
  }
  void read_message(JsonReader& reader, bool is_last);
  void read_block(JsonReader& block, Message& message);
  void read_image(JsonReader& block, Message& message);
  void read_tool_use(JsonReader& block, Message& message);
  void read_tool_result(JsonReader& block);
  void read_schema_format(JsonReader& format);
  void read_tool(JsonReader& tool);

  JsonReader& body_;
  const RequestLimits& limits_;
  Request& request_;
};

void AnthropicReader::read_system() {
  const json::value* value = body_.find("system");
  if (value == nullptr) return;
  Message message;
  message.role = Role::system;
  if (value->is_string()) {
    message.content.emplace_back(TextPart{text_of(*value)});
  } else {
    each_object(body_, list_of(body_, *value, "system"), "system", [&](JsonReader& block) {
      const std::string type = block.required_string("type", {64});
      if (type != "text" && !block.failed()) {
        block.refuse(block.path_of("type"),
                     block.path_of("type") + " must be \"text\", found " + quote_value(type));
      }
      message.content.emplace_back(TextPart{block.required_string("text", any_length)});
    });
  }
  if (!message.content.empty()) request_.messages.push_back(std::move(message));
}

void AnthropicReader::read_messages() {
  if (body_.find("messages") == nullptr) {
    body_.refuse("messages",
                 "messages is missing; it must be a list of messages, as "
                 "[{\"role\": \"user\", \"content\": \"…\"}]");
    return;
  }
  const json::array* list =
      body_.optional_list("messages", {limits_.messages_max, "limits.messages_max"});
  for (std::size_t i = 0; list != nullptr && i < list->size() && !body_.failed(); ++i) {
    auto message = body_.object((*list)[i], entry_path("messages", i));
    if (message) read_message(*message, i + 1 == list->size());
  }
}

void AnthropicReader::read_message(JsonReader& reader, bool is_last) {
  Message message;
  const std::string role = reader.required_string("role", {64});
  if (role == "assistant") {
    message.role = Role::assistant;
    message.prefix = is_last;  // the answer goes on behind it
  } else if (role == "system") {
    message.role = Role::system;
  } else if (role != "user" && !reader.failed()) {
    reader.refuse(
        reader.path_of("role"),
        reader.path_of("role") + " must be \"user\" or \"assistant\", found " + quote_value(role));
  }
  const std::string path = reader.path_of("content");
  const json::value* content = reader.find("content");
  if (content == nullptr) {
    reader.refuse(path, path + " is missing; it must be a string or a list of blocks");
    return;
  }
  bool only_results = false;
  if (content->is_string()) {
    message.content.emplace_back(TextPart{text_of(*content)});
  } else {
    const std::size_t before = request_.messages.size();
    each_object(reader, list_of(reader, *content, path), path,
                [&](JsonReader& block) { read_block(block, message); });
    only_results = request_.messages.size() > before && message.content.empty();
  }
  // Nothing can go on behind a call of a tool.
  if (!message.tool_calls.empty()) message.prefix = false;
  if (!only_results) request_.messages.push_back(std::move(message));
}

void AnthropicReader::read_block(JsonReader& block, Message& message) {
  const std::string type = block.required_string("type", {64});
  if (block.failed()) return;
  const bool assistant = message.role == Role::assistant;
  if (type == "text") {
    message.content.emplace_back(TextPart{block.required_string("text", any_length)});
  } else if (type == "image" && !assistant) {
    read_image(block, message);
  } else if (type == "tool_result" && message.role == Role::user) {
    read_tool_result(block);
  } else if (type == "tool_use" && assistant) {
    read_tool_use(block, message);
  } else if (type == "thinking" && assistant) {
    message.reasoning_content += block.required_string("thinking", any_length);
    message.reasoning_signature = block.optional_string("signature", any_length).value_or("");
  } else if (type == "redacted_thinking" && assistant) {
    message.redacted_reasoning.push_back(block.required_string("data", any_length));
  } else if (type == "document" || type == "search_result" || type == "container_upload") {
    refuse_gap(block, "type",
               type + " blocks are not offered here; give their text as a text block");
  } else {
    block.refuse(block.path_of("type"),
                 block.path_of("type") +
                     (assistant ? " must be \"text\", \"thinking\", \"redacted_thinking\" or "
                                  "\"tool_use\" in a message of the assistant, found "
                                : " must be \"text\", \"image\" or \"tool_result\" in a message of "
                                  "the user, found ") +
                     quote_value(type));
  }
}

void AnthropicReader::read_image(JsonReader& block, Message& message) {
  auto source = block.optional_object("source");
  if (!source) {
    block.refuse(block.path_of("source"), block.path_of("source") + " is missing");
    return;
  }
  const std::string type = source->required_string("type", {64});
  ImagePart image;
  if (type == "base64") {
    const std::string media = source->required_string("media_type", {64});
    constexpr std::array<std::string_view, 4> known{"image/jpeg", "image/png", "image/gif",
                                                    "image/webp"};
    if (!source->failed() && std::ranges::find(known, media) == known.end()) {
      source->refuse(source->path_of("media_type"),
                     source->path_of("media_type") +
                         " must be image/jpeg, image/png, image/gif or image/webp, found " +
                         quote_value(media));
    }
    image.url = "data:" + media + ";base64," + source->required_string("data", any_length);
  } else if (type == "url") {
    image.url = source->required_string("url", any_length);
    if (!source->failed() && !image.url.starts_with("https://")) {
      source->refuse(
          source->path_of("url"),
          source->path_of("url") + " must begin with https://, found " + quote_value(image.url));
    }
  } else if (!source->failed()) {
    refuse_gap(*source, "type",
               "only images of the types \"base64\" and \"url\" are offered here, found " +
                   quote_value(type));
  }
  if (block.failed()) return;
  note_feature(request_, Feature::images, block.path());
  message.content.emplace_back(std::move(image));
}

void AnthropicReader::read_tool_use(JsonReader& block, Message& message) {
  ToolCall call;
  call.id = block.required_string("id", name_bytes());
  call.name = block.required_string("name", name_bytes());
  const json::value* input = block.find("input");
  if (input != nullptr && !input->is_object()) {
    block.refuse_value(block.path_of("input"), "an object", *input);
    return;
  }
  call.arguments = input == nullptr ? "{}" : json::serialize(*input);
  add_tool_call(block, limits_, message, std::move(call), "tool_use blocks");
}

void AnthropicReader::read_tool_result(JsonReader& block) {
  Message result;
  result.role = Role::tool;
  result.tool_call_id = block.required_string("tool_use_id", name_bytes());
  result.tool_failed = block.optional_boolean("is_error").value_or(false);
  const std::string path = block.path_of("content");
  const json::value* content = block.find("content");
  if (content != nullptr && content->is_string()) {
    result.content.emplace_back(TextPart{text_of(*content)});
  } else if (content != nullptr) {
    each_object(block, list_of(block, *content, path), path, [&](JsonReader& inner) {
      const std::string type = inner.required_string("type", {64});
      if (type == "text") {
        result.content.emplace_back(TextPart{inner.required_string("text", any_length)});
      } else if (type == "image") {
        read_image(inner, result);
      } else if (!inner.failed()) {
        refuse_gap(inner, "type",
                   "a result of a tool holds \"text\" and \"image\" blocks here, found " +
                       quote_value(type));
      }
    });
  }
  if (result.content.empty()) result.content.emplace_back(TextPart{});
  request_.messages.push_back(std::move(result));
}

void AnthropicReader::read_tool(JsonReader& tool) {
  const std::string type = tool.optional_string("type", {64}).value_or("custom");
  if (type != "custom") {
    refuse_gap(tool, "type",
               "tools that the provider defines or runs are not offered here; describe your own "
               "with name and input_schema, found " +
                   quote_value(type));
    return;
  }
  Tool made;
  made.name = tool.required_string("name", name_bytes());
  made.description = tool.optional_string("description", any_length).value_or("");
  made.strict = tool.optional_boolean("strict").value_or(false);
  made.parameters = read_schema_object(tool, "input_schema", true);
  request_.tools.push_back(std::move(made));
}

void AnthropicReader::read_tools() {
  const json::value* value = body_.find("tools");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list = body_.optional_list("tools", tools_bound);
  note_feature(request_, Feature::tools, "tools");
  each_object(body_, list, "tools", [&](JsonReader& tool) { read_tool(tool); });
}

void AnthropicReader::read_tool_choice() {
  auto choice = body_.optional_object("tool_choice");
  if (!choice) return;
  using Kind = ToolChoice::Kind;
  const std::string type = choice->required_string("type", {64});
  if (type == "any") {
    request_.tool_choice.kind = Kind::required;
  } else if (type == "tool") {
    request_.tool_choice = {Kind::named, choice->required_string("name", name_bytes())};
  } else if (type == "none") {
    request_.tool_choice.kind = Kind::none;
  }
  if (type != "tool") choice->optional_string("name", name_bytes());
  const bool is_choice = type == "auto" || type == "any" || type == "tool" || type == "none";
  if (!is_choice && !choice->failed()) {
    choice->refuse("tool_choice.type",
                   "tool_choice.type must be \"auto\", \"any\", \"tool\" or \"none\", found " +
                       quote_value(type));
  }
  const bool one = choice->optional_boolean("disable_parallel_tool_use").value_or(false);
  request_.parallel_tool_calls = !one;
  check_forced_choice(*choice, request_);
  if (request_.tool_choice.kind != Kind::named || choice->failed()) return;
  const bool known = std::ranges::any_of(
      request_.tools, [&](const Tool& tool) { return tool.name == request_.tool_choice.name; });
  if (known) return;
  choice->refuse("tool_choice.name", "tool_choice.name must be one of tools, found " +
                                         quote_value(request_.tool_choice.name));
}

void AnthropicReader::read_sampling() {
  request_.sampling.temperature = body_.optional_number("temperature", {0, 1});
  read_top_p(body_, request_);
  read_top_k(body_, limits_, request_);
}

void AnthropicReader::read_stop() {
  const json::value* value = body_.find("stop_sequences");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list =
      body_.optional_list("stop_sequences", {limits_.stop_max, "limits.stop_max"});
  for (std::size_t i = 0; list != nullptr && i < list->size() && !body_.failed(); ++i) {
    const std::string path = entry_path("stop_sequences", i);
    auto text = body_.string((*list)[i], path, {limits_.stop_bytes_max, "limits.stop_bytes_max"});
    if (text && text->empty()) body_.refuse(path, path + " must not be an empty string");
    if (text) request_.stop.push_back(std::move(*text));
  }
}

void AnthropicReader::read_thinking() {
  auto thinking = body_.optional_object("thinking");
  if (!thinking) return;
  const std::string type = thinking->required_string("type", {64});
  if (type == "enabled" || type == "adaptive") {
    request_.thinking = true;
  } else if (type == "disabled") {
    request_.thinking = false;
  } else if (!thinking->failed()) {
    thinking->refuse("thinking.type",
                     "thinking.type must be \"enabled\", \"disabled\" or \"adaptive\", found " +
                         quote_value(type));
  }
  const auto tokens =
      thinking->optional_integer("budget_tokens", 1, {limits_.tokens_max, "limits.tokens_max"});
  if (tokens && type == "enabled") request_.thinking_tokens = static_cast<std::int32_t>(*tokens);
}

void AnthropicReader::read_schema_format(JsonReader& format) {
  const std::string type = format.required_string("type", {64});
  if (format.failed()) return;
  if (type != "json_schema") {
    format.refuse(format.path_of("type"),
                  format.path_of("type") + " must be \"json_schema\", found " + quote_value(type));
    return;
  }
  const std::string path = format.path_of("schema");
  request_.constraint = {
      Constraint::Kind::json_schema, read_schema_object(format, "schema", true), {}, path};
  note_feature(request_, Feature::response_format, path);
}

// Effort, and the schema of the answer.
void AnthropicReader::read_output() {
  if (auto format = body_.optional_object("output_format")) read_schema_format(*format);
  auto output = body_.optional_object("output_config");
  if (!output) return;
  if (auto format = output->optional_object("format")) read_schema_format(*format);
  constexpr std::array<std::string_view, 5> known{"low", "medium", "high", "xhigh", "max"};
  request_.reasoning_effort = read_word(*output, "effort", known);
}

void AnthropicReader::refuse_hosted() {
  const json::value* servers = body_.find("mcp_servers");
  const bool none = servers == nullptr || (servers->is_array() && servers->get_array().empty());
  if (!none) refuse_gap(body_, "mcp_servers", "this server calls no tools itself");
  if (body_.find("container") != nullptr) {
    refuse_gap(body_, "container", "this server has no containers to run code in");
  }
}

base::Result<Request> decode(std::string_view body, const DecodeContext& context, bool counts) {
  const RequestLimits& limits = context.limits;
  const auto object = parse_json_object(body, limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  Request request;
  AnthropicReader parts(reader, limits, request);
  parts.read_system();
  parts.read_messages();
  parts.read_tools();
  parts.read_tool_choice();
  parts.read_sampling();
  parts.read_stop();
  parts.read_thinking();
  parts.read_output();
  parts.refuse_hosted();
  if (auto metadata = reader.optional_object("metadata")) {
    const Bound bytes{limits.user_id_bytes_max, "limits.user_id_bytes_max"};
    request.user_id = metadata->optional_string("user_id", bytes).value_or("");
  }
  request.stream = reader.optional_boolean("stream").value_or(false) && !counts;
  const auto tokens =
      reader.optional_integer("max_tokens", 1, {limits.tokens_max, "limits.tokens_max"});
  if (tokens) {
    request.tokens_max = static_cast<std::int32_t>(*tokens);
  } else if (!counts) {
    reader.refuse("max_tokens", "max_tokens is missing; it must be a positive integer");
  }
  return finish_decode(reader, context, std::move(request));
}

}  // namespace

base::Result<Request> decode_messages(std::string_view body, const DecodeContext& context) {
  return decode(body, context, false);
}

base::Result<Request> decode_count_tokens(std::string_view body, const DecodeContext& context) {
  return decode(body, context, true);
}

}  // namespace deepseek::protocol
