#include "cli/explanation.hpp"

#include <boost/json.hpp>
#include <cstdio>

namespace deepseek::cli {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::make_error;
using base::Result;

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* const found = object.if_contains({name.data(), name.size()});
  const json::string* const text = found == nullptr ? nullptr : found->if_string();
  return text == nullptr ? std::string{} : std::string(text->data(), text->size());
}

double number_at(const json::object& object, std::string_view name) {
  const json::value* const found = object.if_contains({name.data(), name.size()});
  if (found == nullptr || !found->is_number()) return 0;
  return found->to_number<double>();
}

const json::array* list_at(const json::object& object, std::string_view name) {
  const json::value* const found = object.if_contains({name.data(), name.size()});
  return found == nullptr ? nullptr : found->if_array();
}

std::string shortly(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", number);
  return text;
}

std::string candidate_line(const json::object& candidate, const std::string& chosen) {
  const std::string name = text_at(candidate, "name");
  std::string line = (name == chosen ? "  → " : "    ") + name + ": " + text_at(candidate, "state");
  line += ", " + text_at(candidate, "availability");
  line += ", breaker " + text_at(candidate, "breaker");
  line += ", " + shortly(number_at(candidate, "in_flight"));
  const double most = number_at(candidate, "in_flight_max");
  if (most > 0) line += " of " + shortly(most);
  line += " in flight";
  const double first = number_at(candidate, "first_token_ms");
  line += first > 0 ? ", first token " + shortly(first) + " ms" : ", first token unknown";
  line += ", price " + shortly(number_at(candidate, "price"));
  const std::string last = text_at(candidate, "last_failure");
  if (!last.empty()) line += ", last failure " + last;
  const std::string why_not = text_at(candidate, "why_not");
  if (!why_not.empty()) line += " — not now: " + why_not;
  return line + "\n";
}

}  // namespace

Result<std::string> explain_question(const Command& command, std::string_view body) {
  json::object request;
  if (body.empty()) {
    request["messages"] = json::array{json::object{{"role", "user"}, {"content", command.prompt}}};
  } else {
    boost::system::error_code code;
    json::value value = json::parse({body.data(), body.size()}, code);
    if (code || !value.is_object()) {
      return make_error(ErrorCode::invalid_request, "--body: the file holds no JSON object");
    }
    request = std::move(value.get_object());
  }
  if (!command.model.empty()) request["model"] = command.model;
  json::object question{{"body", std::move(request)}};
  if (!command.tenant.empty()) question["tenant"] = command.tenant;
  json::object headers;
  for (const auto& [name, value] : command.headers) headers[name] = value;
  if (!headers.empty()) question["headers"] = std::move(headers);
  return json::serialize(question);
}

Result<std::string> explanation(std::string_view answer) {
  boost::system::error_code code;
  const json::value value = json::parse({answer.data(), answer.size()}, code);
  const json::object* const object = code ? nullptr : value.if_object();
  const json::array* const rules = object == nullptr ? nullptr : list_at(*object, "rules");
  if (rules == nullptr) {
    return make_error(ErrorCode::upstream_failed,
                      "the answer is no explanation; is this the metrics port of a "
                      "deepseek-server (default http://127.0.0.1:8081)?");
  }
  std::string out = "model " + text_at(*object, "model") + "\n";
  const std::string taken = text_at(*object, "route");
  for (const json::value& entry : *rules) {
    const json::object* const rule = entry.if_object();
    if (rule == nullptr) continue;
    const std::string name = text_at(*rule, "route");
    const std::string verdict = text_at(*rule, "verdict");
    out += name == taken ? "  → " : "    ";
    out += name + ": " + verdict;
    if (verdict == "fits" && name != taken) out += ", but an earlier one does too";
    out += "\n";
  }
  const std::string problem = text_at(*object, "problem");
  if (!problem.empty()) return out + "no route: " + problem + "\n";
  out += "candidates, by " + text_at(*object, "strategy") + "\n";
  const std::string chosen = text_at(*object, "chosen");
  if (const json::array* const candidates = list_at(*object, "candidates")) {
    for (const json::value& entry : *candidates) {
      if (const json::object* const one = entry.if_object()) out += candidate_line(*one, chosen);
    }
  }
  out += (chosen.empty() ? "nobody would be asked" : "asked first: " + chosen) + " (" +
         text_at(*object, "why") + ")\n";
  return out;
}

}  // namespace deepseek::cli
