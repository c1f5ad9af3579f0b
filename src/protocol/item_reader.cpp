#include "protocol/item_reader.hpp"

#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <boost/json/string.hpp>
#include <iterator>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

void append_part(std::string& out, const ContentPart& part, bool said) {
  ObjectWriter object(out);
  if (const auto* text = std::get_if<TextPart>(&part)) {
    object.string("type", said ? "output_text" : "input_text");
    object.string("text", text->text);
    if (said) object.json("annotations", "[]");
  } else {
    const auto& image = std::get<ImagePart>(part);
    object.string("type", "input_image");
    object.string("image_url", image.url);
    object.string("detail", image.detail.empty() ? "auto" : image.detail);
  }
  object.close();
}

void append_parts(std::string& out, const std::vector<ContentPart>& parts, bool said) {
  append_list(out, parts, [&](const ContentPart& part) { append_part(out, part, said); });
}

// One text of `type` in a list; an empty list for none.
void append_texts(ObjectWriter& object, std::string_view field, std::string_view type,
                  const std::string& text) {
  std::string& out = object.name(field);
  out += '[';
  if (!text.empty()) {
    ObjectWriter part(out);
    part.string("type", type);
    part.string("text", text);
    part.close();
  }
  out += ']';
}

}  // namespace

template <class Fill>
void ItemReader::keep(std::string_view type, const Fill& fill) {
  if (kept_ == nullptr) return;
  std::string out;
  ObjectWriter object(out);
  object.string("type", type);
  fill(object);
  object.close();
  kept_->push_back(out.substr(1));  // without the bracket: the id comes first
}

// The message of the model that the next item belongs to.
Message& ItemReader::turn(bool wants_content) {
  const bool fits = !request_.messages.empty() &&
                    request_.messages.back().role == Role::assistant &&
                    !(wants_content && (!request_.messages.back().content.empty() ||
                                        !request_.messages.back().tool_calls.empty()));
  if (!fits) request_.messages.emplace_back().role = Role::assistant;
  return request_.messages.back();
}

void ItemReader::read_part(JsonReader& part, std::vector<ContentPart>& parts) {
  const std::string type = part.required_string("type", {64});
  if (part.failed()) return;
  if (type == "input_text" || type == "output_text" || type == "text") {
    parts.emplace_back(TextPart{part.required_string("text", any_length)});
  } else if (type == "refusal") {
    parts.emplace_back(TextPart{part.required_string("refusal", any_length)});
  } else if (type == "input_image") {
    ImagePart image{part.optional_string("image_url", any_length).value_or(""),
                    part.optional_string("detail", {64}).value_or("")};
    check_image_url(part, part.path_of("image_url"), image.url);
    note_feature(request_, Feature::images, part.path());
    parts.emplace_back(std::move(image));
  } else {
    part.refuse(part.path_of("type"),
                part.path_of("type") +
                    " must be \"input_text\", \"output_text\" or \"input_image\", found " +
                    quote_value(type),
                base::ErrorCode::not_implemented);
  }
}

std::vector<ContentPart> ItemReader::read_parts(JsonReader& holder, std::string_view field) {
  std::vector<ContentPart> parts;
  const std::string path = holder.path_of(field);
  const json::value* content = holder.find(field);
  if (content == nullptr) {
    holder.refuse(path, path + " is missing; it must be a string or a list of parts");
  } else if (content->is_string()) {
    parts.emplace_back(TextPart{text_of(*content)});
  } else {
    each_object(holder, parts_of(holder, limits_, *content, path, "a string or a list of parts"),
                path, [&](JsonReader& part) { read_part(part, parts); });
    if (parts.empty()) parts.emplace_back(TextPart{});
  }
  return parts;
}

void ItemReader::add_message(Role role, std::vector<ContentPart> parts) {
  const bool said = role == Role::assistant;
  keep("message", [&](ObjectWriter& object) {
    object.string("status", "completed");
    object.string("role", to_string(role));
    append_parts(object.name("content"), parts, said);
  });
  if (said) {
    auto& content = turn(true).content;
    content.insert(content.end(), std::make_move_iterator(parts.begin()),
                   std::make_move_iterator(parts.end()));
    return;
  }
  Message& message = request_.messages.emplace_back();
  message.role = role;
  message.content = std::move(parts);
}

void ItemReader::read_message(JsonReader& item) {
  const std::string name = item.required_string("role", {64});
  Role role = Role::user;
  if (name == "assistant") {
    role = Role::assistant;
  } else if (name == "system") {
    role = Role::system;
  } else if (name == "developer") {
    role = Role::developer;
  } else if (name != "user" && !item.failed()) {
    item.refuse(item.path_of("role"), item.path_of("role") +
                                          " must be user, assistant, system or developer, found " +
                                          quote_value(name));
  }
  add_message(role, read_parts(item, "content"));
}

void ItemReader::read_call(JsonReader& item) {
  ToolCall call;
  call.id = item.required_string("call_id", name_bytes(limits_));
  call.name = item.required_string("name", name_bytes(limits_));
  call.arguments = item.required_string("arguments", any_length);
  keep("function_call", [&](ObjectWriter& object) {
    object.string("status", "completed");
    object.string("call_id", call.id);
    object.string("name", call.name);
    object.string("arguments", call.arguments);
  });
  add_tool_call(item, limits_, turn(false), std::move(call), "calls");
}

void ItemReader::read_result(JsonReader& item) {
  Message result;
  result.role = Role::tool;
  result.tool_call_id = item.required_string("call_id", name_bytes(limits_));
  result.content = read_parts(item, "output");
  keep("function_call_output", [&](ObjectWriter& object) {
    object.string("status", "completed");
    object.string("call_id", result.tool_call_id);
    const bool single = result.content.size() == 1;  // what was refused has none
    const auto* text = single ? std::get_if<TextPart>(&result.content.front()) : nullptr;
    if (text != nullptr) {
      object.string("output", text->text);
    } else {
      append_parts(object.name("output"), result.content, false);
    }
  });
  request_.messages.push_back(std::move(result));
}

std::string ItemReader::read_texts(JsonReader& item, std::string_view field) {
  std::string text;
  const json::value* value = item.find(field);
  if (value == nullptr) return text;
  const std::string path = item.path_of(field);
  if (!value->is_array()) {
    item.refuse_value(path, "a list", *value);
    return text;
  }
  each_object(item, &value->get_array(), path,
              [&](JsonReader& part) { text += part.required_string("text", any_length); });
  return text;
}

// The text itself where it is given, else its summary.
void ItemReader::read_reasoning(JsonReader& item) {
  const std::string content = read_texts(item, "content");
  const std::string summary = read_texts(item, "summary");
  keep("reasoning", [&](ObjectWriter& object) {
    append_texts(object, "summary", "summary_text", summary);
    append_texts(object, "content", "reasoning_text", content);
  });
  turn(true).reasoning_content += content.empty() ? summary : content;
}

void ItemReader::read_item(JsonReader& item) {
  const std::string type = item.optional_string("type", {64}).value_or("message");
  if (type == "message") {
    read_message(item);
  } else if (type == "function_call") {
    read_call(item);
  } else if (type == "function_call_output") {
    read_result(item);
  } else if (type == "reasoning") {
    read_reasoning(item);
  } else {
    refuse_gap(item, "type",
               "an item must be \"message\", \"function_call\", \"function_call_output\" or "
               "\"reasoning\", found " +
                   quote_value(type));
  }
}

void ItemReader::read_text(std::string text) {
  add_message(Role::user, {TextPart{std::move(text)}});
}

void ItemReader::read_list(JsonReader& holder, const json::array* items, std::string_view path) {
  each_object(holder, items, path, [&](JsonReader& item) { read_item(item); });
}

}  // namespace deepseek::protocol
