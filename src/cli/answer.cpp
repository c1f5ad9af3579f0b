#include "cli/answer.hpp"

#include <boost/json.hpp>
#include <optional>

namespace deepseek::cli {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::make_error;
using base::Result;

std::optional<json::value> parse(std::string_view text) {
  boost::system::error_code code;
  json::value value = json::parse({text.data(), text.size()}, code);
  if (code) return std::nullopt;
  return value;
}

const json::value* member(const json::value* value, std::string_view name) {
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains({name.data(), name.size()});
}

std::string text_at(const json::value* value, std::string_view name) {
  const json::value* found = member(value, name);
  const json::string* text = found == nullptr ? nullptr : found->if_string();
  return text == nullptr ? std::string{} : std::string(text->data(), text->size());
}

const json::value* first_choice(const json::value& body) {
  const json::value* choices = member(&body, "choices");
  const json::array* list = choices == nullptr ? nullptr : choices->if_array();
  return list == nullptr || list->empty() ? nullptr : &list->front();
}

base::Error strange(std::string_view what) {
  return make_error(ErrorCode::upstream_failed, "the server's answer is not " + std::string(what) +
                                                    "; is this a deepseek-server?");
}

}  // namespace

std::string for_terminal(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t') result += c;
  }
  return result;
}

std::string chat_body(const std::string& model, const std::string& prompt, bool stream) {
  json::object body;
  if (!model.empty()) body["model"] = model;
  body["messages"] = json::array{json::object{{"role", "user"}, {"content", prompt}}};
  body["stream"] = stream;
  return json::serialize(body);
}

Result<std::string> text_of_answer(std::string_view body) {
  const auto value = parse(body);
  const json::value* choice = value ? first_choice(*value) : nullptr;
  if (choice == nullptr) return strange("a chat completion");
  return text_at(member(choice, "message"), "content");
}

Result<std::string> text_of_frame(std::string_view data) {
  if (data == "[DONE]") return std::string{};
  const auto value = parse(data);
  if (!value) return strange("a stream of JSON");
  if (const json::value* error = member(&*value, "error"); error != nullptr) {
    return make_error(ErrorCode::upstream_failed,
                      "the answer broke off: " + text_at(error, "message"));
  }
  return text_at(member(first_choice(*value), "delta"), "content");
}

Result<std::string> list_of_models(std::string_view body) {
  const auto value = parse(body);
  const json::value* data = value ? member(&*value, "data") : nullptr;
  const json::array* list = data == nullptr ? nullptr : data->if_array();
  if (list == nullptr) return strange("a list of models");
  std::string text;
  for (const json::value& model : *list) {
    text += text_at(&model, "id");
    const std::string root = text_at(&model, "root");
    if (!root.empty() && root != text_at(&model, "id")) text += " → " + root;
    text += "\n";
  }
  return text;
}

std::string refusal(int status, std::string_view body) {
  const auto value = parse(body);
  const std::string message = value ? text_at(member(&*value, "error"), "message") : "";
  const std::string number = "the server answered " + std::to_string(status);
  return message.empty() ? number : number + ": " + message;
}

std::string readiness(int status, std::string_view body) {
  if (status == 200) return "ready";
  const auto value = parse(body);
  std::string reason = value ? text_at(&*value, "reason") : "";
  if (reason.empty() && value) reason = text_at(member(&*value, "error"), "message");
  return "not ready" +
         (reason.empty() ? " (status " + std::to_string(status) + ")" : ": " + reason);
}

}  // namespace deepseek::cli
