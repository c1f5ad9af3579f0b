// Reads `messages` of the chat forms.
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

std::optional<Role> role_from(std::string_view name) {
  for (const Role role : {Role::system, Role::user, Role::assistant, Role::tool, Role::developer}) {
    if (to_string(role) == name) return role;
  }
  return std::nullopt;
}

void read_image(JsonReader& part, Message& message, Request& request) {
  const json::value* value = part.find("image_url");
  const std::string path = part.path_of("image_url");
  if (value == nullptr) {
    part.refuse(path, path + " is missing");
    return;
  }
  std::string url, detail;
  if (value->is_string()) {
    url = text_of(*value);
  } else if (auto image = part.object(*value, path)) {
    url = image->required_string("url", any_length);
    detail = image->optional_string("detail", {64}).value_or("");
  }
  if (part.failed()) return;
  check_image_url(part, path, url);
  note_feature(request, Feature::images, part.path());
  message.content.emplace_back(ImagePart{std::move(url), std::move(detail)});
}

void read_part(JsonReader& part, Message& message, Request& request) {
  const std::string type = part.required_string("type", {64});
  if (part.failed()) return;
  if (type == "text" || type == "refusal") {
    message.content.emplace_back(TextPart{part.required_string(type, any_length)});
  } else if (type == "image_url") {
    read_image(part, message, request);
  } else if (type == "input_audio") {
    if (!part.optional_object("input_audio")) {
      part.refuse(part.path_of("input_audio"), part.path_of("input_audio") + " is missing");
    }
    note_feature(request, Feature::audio, part.path());
  } else {
    part.refuse(
        part.path_of("type"),
        part.path_of("type") + " must be \"text\" or \"image_url\", found " + quote_value(type));
  }
}

void read_content(JsonReader& reader, const RequestLimits& limits, Message& message,
                  Request& request) {
  const std::string path = reader.path_of("content");
  const json::value* content = reader.find("content");
  if (content == nullptr) {
    const bool optional =
        message.role == Role::assistant && (!message.tool_calls.empty() || message.prefix);
    if (!optional)
      reader.refuse(path, path + " is missing; it must be a string or a list of parts");
    return;
  }
  if (content->is_string()) {
    message.content.emplace_back(TextPart{text_of(*content)});
    return;
  }
  if (!content->is_array()) {
    reader.refuse_value(path, "a string or a list of parts", *content);
    return;
  }
  const json::array& parts = content->get_array();
  if (!reader.check_entries(parts, path, {limits.parts_max, "limits.parts_max"})) return;
  for (std::size_t i = 0; i < parts.size() && !reader.failed(); ++i) {
    auto part = reader.object(parts[i], entry_path(path, i));
    if (part) read_part(*part, message, request);
  }
}

void read_tool_calls(JsonReader& reader, const RequestLimits& limits, Message& message) {
  const json::value* value = reader.find("tool_calls");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const std::string path = reader.path_of("tool_calls");
  if (message.role != Role::assistant) {
    reader.refuse(path, path + " is for messages of the role \"assistant\" only");
    return;
  }
  const json::array* calls =
      reader.optional_list("tool_calls", {limits.tool_calls_max, "limits.tool_calls_max"});
  for (std::size_t i = 0; calls != nullptr && i < calls->size() && !reader.failed(); ++i) {
    auto call = reader.object((*calls)[i], entry_path(path, i));
    if (!call) return;
    ToolCall tool_call;
    tool_call.id = call->required_string("id", name_bytes(limits));
    auto function = call->optional_object("function");
    if (!function) {
      call->refuse(call->path_of("function"), call->path_of("function") + " is missing");
      return;
    }
    tool_call.name = function->required_string("name", name_bytes(limits));
    tool_call.arguments = function->required_string("arguments", any_length);
    message.tool_calls.push_back(std::move(tool_call));
  }
}

// True for OpenAI's old role of a tool.
bool read_role(JsonReader& reader, Message& message, Request& request) {
  const std::string name = reader.required_string("role", {64});
  if (reader.failed()) return false;
  const auto role = role_from(name);
  if (role) {
    message.role = *role;
  } else if (name == "function") {
    note_feature(request, Feature::functions, reader.path_of("role"));
    message.role = Role::tool;
  } else {
    reader.refuse(reader.path_of("role"),
                  reader.path_of("role") +
                      " must be system, developer, user, assistant or tool, found " +
                      quote_value(name));
  }
  return name == "function";
}

// The old form has no ids: its calls are known by their message, its results by the name.
std::string id_of_message(std::size_t index) {
  return "call_" + std::to_string(index);
}

std::string id_of_call(const Request& request, const std::string& name) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    for (const ToolCall& call : message->tool_calls) {
      if (call.name == name) return call.id;
    }
  }
  return id_of_message(request.messages.size());
}

// The old form of tool_calls, for one call.
void read_function_call(JsonReader& reader, const RequestLimits& limits, Message& message,
                        Request& request) {
  if (reader.find("function_call") == nullptr) return;
  note_feature(request, Feature::functions, reader.path_of("function_call"));
  auto function = reader.optional_object("function_call");
  if (!function) return;
  ToolCall call;
  call.id = id_of_message(request.messages.size());
  call.name = function->required_string("name", name_bytes(limits));
  call.arguments = function->required_string("arguments", any_length);
  if (message.role != Role::assistant) {
    reader.refuse(
        reader.path_of("function_call"),
        reader.path_of("function_call") + " is for messages of the role \"assistant\" only");
  }
  if (message.tool_calls.empty()) message.tool_calls.push_back(std::move(call));
}

void read_message(JsonReader& reader, const RequestLimits& limits, bool is_last, Request& request) {
  Message message;
  const bool is_function = read_role(reader, message, request);
  message.name = reader.optional_string("name", name_bytes(limits)).value_or("");
  message.reasoning_content = reader.optional_string("reasoning_content", any_length).value_or("");
  message.prefix = reader.optional_boolean("prefix").value_or(false);
  if (message.prefix && (message.role != Role::assistant || !is_last)) {
    reader.refuse(
        reader.path_of("prefix"),
        reader.path_of("prefix") + " is for the last message, of the role \"assistant\", only");
  }
  read_tool_calls(reader, limits, message);
  read_function_call(reader, limits, message, request);
  if (message.role == Role::tool && !reader.failed()) {
    if (auto id = reader.optional_string("tool_call_id", name_bytes(limits))) {
      message.tool_call_id = std::move(*id);
    } else if (is_function) {
      message.tool_call_id = id_of_call(request, message.name);
    } else {
      reader.refuse(reader.path_of("tool_call_id"),
                    reader.path_of("tool_call_id") + " is missing; a tool's answer needs it");
    }
  }
  read_content(reader, limits, message, request);
  request.messages.push_back(std::move(message));
}

}  // namespace

bool read_messages(JsonReader& reader, const RequestLimits& limits, Request& request) {
  if (reader.find("messages") == nullptr) return false;
  const json::array* messages =
      reader.optional_list("messages", {limits.messages_max, "limits.messages_max"});
  if (messages == nullptr) return true;
  request.messages.reserve(messages->size());
  for (std::size_t i = 0; i < messages->size() && !reader.failed(); ++i) {
    auto message = reader.object((*messages)[i], entry_path("messages", i));
    if (message) read_message(*message, limits, i + 1 == messages->size(), request);
  }
  return true;
}

}  // namespace deepseek::protocol
