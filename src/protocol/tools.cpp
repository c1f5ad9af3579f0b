// Reads tools and the choice among them, and OpenAI's older functions.
#include "protocol/answer.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

Tool read_tool(JsonReader& function, const RequestLimits& limits) {
  Tool tool;
  tool.name = function.required_string("name", name_bytes(limits));
  tool.description = function.optional_string("description", any_length).value_or("");
  tool.strict = function.optional_boolean("strict").value_or(false);
  tool.parameters = read_schema_object(function, "parameters");
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

// Also where messages in that form were noted before: this decides the form of the answer.
void note_functions(Request& request) {
  std::erase_if(request.features,
                [](const FeatureUse& use) { return use.feature == Feature::functions; });
  note_feature(request, Feature::functions, "functions");
}

// "none", "auto" or {"name": "…"}.
void read_function_call(JsonReader& reader, const RequestLimits& limits, Request& request) {
  using Kind = ToolChoice::Kind;
  const json::value* call = reader.find("function_call");
  if (call == nullptr) return;
  if (call->is_object()) {
    auto named = reader.object(*call, "function_call");
    request.tool_choice = {Kind::named, named->required_string("name", name_bytes(limits))};
    if (!wants_old_functions(request)) {
      reader.refuse("function_call", "function_call asks for a function, but functions is empty");
    }
  } else if (call->is_string() && call->get_string() == "none") {
    if (wants_old_functions(request)) request.tool_choice.kind = Kind::none;
  } else if (!call->is_string() || call->get_string() != "auto") {
    reader.refuse_value("function_call", "\"none\", \"auto\" or an object with a name", *call);
  }
}

// OpenAI's form before there were tools: one call at most, and no ids.
void read_functions(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const json::value* functions = reader.find("functions");
  if (functions != nullptr && !(functions->is_array() && functions->get_array().empty())) {
    const json::array* list = reader.optional_list("functions", tools_bound);
    if (!request.tools.empty() || request.uses(Feature::hosted_tools)) {
      reader.refuse("functions", "functions is the old form of tools; give one of them");
    }
    each_object(reader, list, "functions", [&](JsonReader& function) {
      request.tools.push_back(read_tool(function, limits));
    });
    note_functions(request);
    request.parallel_tool_calls = false;
  }
  read_function_call(reader, limits, request);
}

}  // namespace

void read_tools(JsonReader& reader, const RequestLimits& limits, Request& request) {
  read_tool_list(reader, limits, request);
  read_tool_choice(reader, limits, request);
  request.parallel_tool_calls = reader.optional_boolean("parallel_tool_calls").value_or(true);
  read_functions(reader, limits, request);
}

}  // namespace deepseek::protocol
