// Reads tools and the choice among them, and OpenAI's older functions.
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

// Far beyond what any upstream takes; a bound against floods.
constexpr Bound tools_bound{1024};
constexpr Bound text_bound{std::numeric_limits<std::int64_t>::max()};  // the body has its limit

// "none" and "auto" change nothing when there is nothing to choose from.
bool is_harmless_choice(const json::value& choice) {
  return choice.is_string() && (choice.get_string() == "none" || choice.get_string() == "auto");
}

Tool read_tool(JsonReader& function, const RequestLimits& limits) {
  const Bound name_bytes{limits.name_bytes_max, "limits.name_bytes_max"};
  Tool tool;
  tool.name = function.required_string("name", name_bytes);
  tool.description = function.optional_string("description", text_bound).value_or("");
  tool.strict = function.optional_boolean("strict").value_or(false);
  const json::value* parameters = function.find("parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    function.refuse_value(function.path_of("parameters"), "a JSON Schema object", *parameters);
  } else if (parameters != nullptr) {
    tool.parameters = json::serialize(*parameters);
  }
  return tool;
}

void read_tool_list(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const json::value* value = reader.find("tools");
  if (value == nullptr || (value->is_array() && value->get_array().empty())) return;
  const json::array* list = reader.optional_list("tools", tools_bound);
  note_feature(request, Feature::tools, "tools");
  for (std::size_t i = 0; list != nullptr && i < list->size() && !reader.failed(); ++i) {
    auto tool = reader.object((*list)[i], entry_path("tools", i));
    if (!tool) return;
    auto function = tool->optional_object("function");
    if (function) {
      request.tools.push_back(read_tool(*function, limits));
    } else {
      note_feature(request, Feature::hosted_tools, entry_path("tools", i));
    }
  }
}

// {"type": "function", "function": {"name": "…"}}
void read_named_choice(JsonReader& choice, const RequestLimits& limits, Request& request) {
  auto function = choice.optional_object("function");
  if (!function) {
    note_feature(request, Feature::hosted_tools, choice.path());
    return;
  }
  request.tool_choice = {
      ToolChoice::Kind::named,
      function->required_string("name", {limits.name_bytes_max, "limits.name_bytes_max"})};
}

void read_tool_choice(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const json::value* value = reader.find("tool_choice");
  if (value == nullptr) return;
  if (value->is_object()) {
    note_feature(request, Feature::tools, "tool_choice");
    if (auto choice = reader.object(*value, "tool_choice")) {
      read_named_choice(*choice, limits, request);
    }
  } else if (!value->is_string()) {
    reader.refuse_value("tool_choice", "a string or an object", *value);
  } else if (value->get_string() == "none") {
    request.tool_choice.kind = ToolChoice::Kind::none;
  } else if (value->get_string() != "auto") {
    note_feature(request, Feature::tools, "tool_choice");
    request.tool_choice.kind = ToolChoice::Kind::required;
  }
}

// OpenAI's form before there were tools: it passes to upstreams as it is.
void read_functions(JsonReader& reader, Request& request) {
  const json::value* functions = reader.find("functions");
  if (functions != nullptr && !(functions->is_array() && functions->get_array().empty())) {
    const json::array* list = reader.optional_list("functions", tools_bound);
    for (std::size_t i = 0; list != nullptr && i < list->size() && !reader.failed(); ++i) {
      reader.object((*list)[i], entry_path("functions", i));
    }
    note_feature(request, Feature::functions, "functions");
  }
  const json::value* call = reader.find("function_call");
  if (call != nullptr && !call->is_string() && !call->is_object()) {
    reader.refuse_value("function_call", "a string or an object", *call);
  } else if (call != nullptr && !is_harmless_choice(*call)) {
    note_feature(request, Feature::functions, "function_call");
  }
}

}  // namespace

void read_tools(JsonReader& reader, const RequestLimits& limits, Request& request) {
  read_tool_list(reader, limits, request);
  read_tool_choice(reader, limits, request);
  request.parallel_tool_calls = reader.optional_boolean("parallel_tool_calls").value_or(true);
  read_functions(reader, request);
}

}  // namespace deepseek::protocol
