// Reads POST /api/v1/infer: a question, and what it is about: images, and data as JSON or CSV.
#include "protocol/body_outline.hpp"
#include "protocol/csv.hpp"
#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::int32_t tokens_max_default = 1024;  // an answer to a question has an end
constexpr std::size_t columns_told_max = 32;       // names before the data; the data has them all

Message text_message(Role role, std::string text) {
  Message message;
  message.role = role;
  message.content.emplace_back(TextPart{std::move(text)});
  return message;
}

class InferReader {
 public:
  InferReader(JsonReader& body, std::string_view text, const RequestLimits& limits,
              Request& request)
      : body_(body), text_(text), limits_(limits), request_(request) {}

  // Nothing if there is no data; else what stands before the question.
  std::string read_data();
  void read_images(Message& message);

 private:
  bool check_size(std::string_view data);
  std::string read_csv(const json::value& value);
  std::string read_json(const json::value& value);
  std::string in_fence(std::string_view kind, const std::string& about, std::string_view data);
  void check_entries(const json::value& value);
  void read_image(const json::value& value, const std::string& path, Message& message);

  JsonReader& body_;
  const std::string_view text_;  // of the whole body
  const RequestLimits& limits_;
  Request& request_;
};

bool InferReader::check_size(std::string_view data) {
  if (static_cast<std::int64_t>(data.size()) <= limits_.data_bytes_max) return true;
  body_.refuse("data", "data has " + std::to_string(data.size()) + " bytes; at most " +
                           std::to_string(limits_.data_bytes_max) +
                           " (limits.data_bytes_max) are allowed");
  return false;
}

// A code block, as models know it, with a fence that is longer than any run of backticks in it: no
// data can end it and speak as the question.
std::string InferReader::in_fence(std::string_view kind, const std::string& about,
                                  std::string_view data) {
  std::size_t longest = 2;
  for (std::size_t at = data.find('`'); at != std::string_view::npos; at = data.find('`', at)) {
    const std::size_t end = std::min(data.find_first_not_of('`', at), data.size());
    longest = std::max(longest, end - at);
    at = end;
  }
  const std::string fence(longest + 1, '`');
  std::string out = "The question is about this data (" + about + "):\n\n" + fence;
  out += kind;
  out += '\n';
  out += data;
  if (!data.ends_with('\n')) out += '\n';
  return out + fence + "\n\n";
}

std::string InferReader::read_csv(const json::value& value) {
  if (!value.is_string()) {
    body_.refuse_value("data", "a string with \"format\": \"csv\"", value);
    return {};
  }
  const std::string_view data{value.get_string().data(), value.get_string().size()};
  if (!check_size(data)) return {};
  const auto table = check_csv(data, limits_.data_rows_max);
  if (table.has_error()) {
    body_.refuse("data", "data, " + table.error().message + " (limits.data_rows_max is " +
                             std::to_string(limits_.data_rows_max) + ")");
    return {};
  }
  std::string about = "CSV, " + std::to_string(table->rows) + " rows, columns: ";
  const std::size_t told = std::min(table->columns.size(), columns_told_max);
  for (std::size_t i = 0; i < told; ++i)
    about += (i > 0 ? ", " : "") + quote_value(table->columns[i]);
  if (told < table->columns.size()) about += ", …";
  return in_fence("csv", about, data);
}

// A list is a table as well, and each list in an object.
void InferReader::check_entries(const json::value& value) {
  const auto check = [this](const json::array* list, const std::string& path) {
    if (list == nullptr || list->empty()) return;
    body_.check_entries(*list, path, {limits_.data_rows_max, "limits.data_rows_max"});
  };
  check(value.if_array(), "data");
  if (!value.is_object()) return;
  for (const auto& field : value.get_object()) {
    const std::string name(field.key().data(), field.key().size());
    check(field.value().if_array(), "data." + name);
  }
}

// The client's own text, so that its numbers stay as they are.
std::string InferReader::read_json(const json::value& value) {
  if (value.is_string()) {
    const std::string_view data{value.get_string().data(), value.get_string().size()};
    if (!check_size(data)) return {};
    const auto parsed = parse_json(data, limits_);
    if (parsed.has_error()) {
      body_.refuse("data", "data: " + parsed.error().message);
      return {};
    }
    check_entries(*parsed);
    return in_fence("json", "JSON", data);
  }
  if (!value.is_object() && !value.is_array()) {
    body_.refuse_value("data", "an object, a list, or a string with \"format\"", value);
    return {};
  }
  check_entries(value);
  const BodyOutline outline = outline_body(text_);
  const BodyField* field = outline.find("data");
  if (field == nullptr || !check_size(field->value)) return {};
  return in_fence("json", "JSON", field->value);
}

std::string InferReader::read_data() {
  constexpr std::array<std::string_view, 2> formats{"json", "csv"};
  const std::string format = read_word(body_, "format", formats);
  const json::value* value = body_.find("data");
  if (value == nullptr) {
    if (!format.empty()) body_.refuse("format", "format says what data is, but data is missing");
    return {};
  }
  if (format.empty() && value->is_string()) {
    body_.refuse("format", "format is missing; it must be json or csv where data is a string");
    return {};
  }
  return format == "csv" ? read_csv(*value) : read_json(*value);
}

void InferReader::read_image(const json::value& value, const std::string& path, Message& message) {
  ImagePart image;
  if (value.is_string()) {
    image.url = text_of(value);
  } else if (auto part = body_.object(value, path)) {
    // A part of a message of a chat, or what is in it.
    part->optional_string("type", {64});
    const json::value* inner = part->find("image_url");
    if (inner != nullptr && inner->is_string()) {
      image.url = text_of(*inner);
    } else {
      auto nested = part->optional_object("image_url");
      JsonReader& holder = nested ? *nested : *part;
      image.url = holder.required_string("url", any_length);
      image.detail = holder.optional_string("detail", {64}).value_or("");
    }
  }
  check_image_url(body_, path, image.url);
  note_feature(request_, Feature::images, path);
  message.content.emplace_back(std::move(image));
}

void InferReader::read_images(Message& message) {
  const json::value* value = body_.find("images");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list =
      body_.optional_list("images", {limits_.parts_max - 1, "limits.parts_max"});
  for (std::size_t i = 0; list != nullptr && i < list->size() && !body_.failed(); ++i) {
    read_image((*list)[i], entry_path("images", i), message);
  }
}

}  // namespace

base::Result<Request> decode_infer(std::string_view body, const DecodeContext& context) {
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  Request request;
  if (auto system = reader.optional_string("system", any_length)) {
    request.messages.push_back(text_message(Role::system, std::move(*system)));
  }
  const std::string query = reader.required_string("query", any_length);
  if (query.empty()) reader.refuse("query", "query is empty; it must hold the question");
  InferReader parts(reader, body, context.limits, request);
  Message question;
  parts.read_images(question);
  question.content.emplace_back(TextPart{parts.read_data() + query});
  request.messages.push_back(std::move(question));
  request.prompt_field = "query";
  read_sampling(reader, context.limits, request);
  read_answer_shape(reader, context.limits, request);
  if (request.choices != 1) reader.refuse("n", "n must be 1 here: this endpoint gives one answer");
  read_tokens_max(reader, context.limits, request,
                  {"max_tokens", "max_completion_tokens", "max_new_tokens"});
  assume_tokens_max(request, tokens_max_default);
  read_features(reader, context.limits, request);
  refuse_chat_features(reader, request);
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
