#include "engine/tool_tags.hpp"

#include "engine/call_reader.hpp"
#include "grammar/limits.hpp"
#include "grammar/schema.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::engine {
namespace {

namespace wire = ::deepseek::engine::v1;

constexpr std::string_view kAnyObject = R"({"type":"object"})";

std::string tag(const std::string& begin, const std::string& content, const std::string& end) {
  return R"({"type":"tag","begin":)" + json_string(begin) + R"(,"content":)" + content +
         R"(,"end":)" + json_string(end) + "}";
}

std::string schema_format(std::string_view schema, std::string_view style) {
  return R"({"type":"json_schema","json_schema":)" + std::string(schema) + R"(,"style":")" +
         std::string(style) + R"("})";
}

std::string list(const std::vector<std::string>& entries) {
  std::string text;
  for (const std::string& entry : entries) text += (text.empty() ? "" : ",") + entry;
  return "[" + text + "]";
}

// Calls behind each other, and nothing else.
std::string joined(const std::vector<std::string>& calls, const std::string& separator, bool many) {
  return R"({"type":"tags_with_separator","tags":)" + list(calls) + R"(,"separator":)" +
         json_string(separator) + R"(,"at_least_one":true,"stop_after_first":)" +
         (many ? "false}" : "true}");
}

// How a format writes one call around its arguments.
struct CallShape {
  std::string before_name;
  std::string behind_name;
  std::string end;
  std::string_view style = "json";
  // Around all calls of an answer; empty: each stands for itself.
  std::string calls_begin{};
  std::string calls_end{};
  std::string separator{};
};

CallShape shape_of(ToolFormat format) {
  const auto text = [](std::string_view mark) { return std::string(mark); };
  switch (format) {
    case ToolFormat::deepseek_fenced:
      return {text(kCallBegin) + "function" + text(kCallSeparator),
              "\n```json\n",
              "\n```" + text(kCallEnd),
              "json",
              text(kCallsBegin),
              text(kCallsEnd),
              "\n"};
    case ToolFormat::deepseek_plain:
      return {text(kCallBegin),
              text(kCallSeparator),
              text(kCallEnd),
              "json",
              text(kCallsBegin),
              text(kCallsEnd),
              ""};
    case ToolFormat::dsml_functions:
    case ToolFormat::dsml_tools: {
      const bool tools = format == ToolFormat::dsml_tools;
      return {text(kInvokeBegin),
              "\">\n",
              text(kInvokeEnd),
              "deepseek_xml",
              text(tools ? kToolsBegin : kFunctionsBegin) + "\n",
              "\n" + text(tools ? kToolsEnd : kFunctionsEnd),
              "\n"};
    }
    case ToolFormat::llama3:
      return {"{\"name\": \"", "\", \"parameters\": ", "}"};
    case ToolFormat::mistral_list:
      return {
          "{\"name\": \"", "\", \"arguments\": ", "}", "json", text(kToolCalls) + "[", "]", ", "};
    case ToolFormat::mistral_named:
      return {text(kToolCalls), text(kArguments), ""};
    case ToolFormat::hermes:
    case ToolFormat::generic:
    case ToolFormat::other:
      break;
  }
  return {text(kObjectBegin) + "\n{\"name\": \"", "\", \"arguments\": ", "}\n" + text(kObjectEnd)};
}

// Where text turns into a call.
std::string trigger_of(ToolFormat format, const CallShape& shape) {
  if (!shape.calls_begin.empty()) {
    return std::string(format == ToolFormat::mistral_list ? kToolCalls : shape.calls_begin);
  }
  const auto marks = call_marks(format == ToolFormat::other ? ToolFormat::hermes : format);
  return format == ToolFormat::llama3 ? shape.before_name : std::string(marks.front());
}

class TagsBuilder {
 public:
  TagsBuilder(const wire::Chat& chat, ToolFormat format)
      : chat_(chat), format_(format), shape_(shape_of(format)) {}

  base::Result<std::string> build(const std::optional<std::string>& answer) {
    const base::Result<void> read = read_tools();
    if (read.has_error()) return read.error();
    if (must()) return triggered(true);
    if (!answer) return triggered(false);
    return R"({"type":"or","elements":[)" + *answer + "," + triggered(true) + "]}";
  }

 private:
  bool must() const {
    return chat_.tool_choice() == wire::REQUIRED || chat_.tool_choice() == wire::NAMED;
  }

  base::Result<void> read_tools() {
    std::size_t bytes = 0;
    for (const wire::Tool& tool : chat_.tools()) bytes += tool.parameters().size();
    for (int index = 0; index < chat_.tools_size(); ++index) {
      const wire::Tool& tool = chat_.tools(index);
      if (chat_.tool_choice() == wire::NAMED && tool.name() != chat_.tool_name()) continue;
      auto schema = schema_of(tool, index, bytes <= grammar::kSchemaBytesMax);
      if (schema.has_error()) return schema.error();
      calls_.push_back(tag(shape_.before_name + tool.name() + shape_.behind_name,
                           schema_format(*schema, shape_.style), shape_.end));
    }
    return {};
  }

  base::Result<std::string> schema_of(const wire::Tool& tool, int index, bool fits) const {
    if (tool.parameters().empty() || (!fits && !tool.strict())) return std::string(kAnyObject);
    const std::string param = "tools[" + std::to_string(index) + "].function.parameters";
    auto checked = grammar::checked_schema(tool.parameters(), param);
    if (checked.has_error() && !tool.strict()) return std::string(kAnyObject);
    return checked;
  }

  std::string triggered(bool at_least_one) const {
    const bool many = chat_.parallel_tool_calls();
    std::vector<std::string> tags = calls_;
    bool again = many;
    if (!shape_.calls_begin.empty()) {
      tags = {tag(shape_.calls_begin, joined(calls_, shape_.separator, many), shape_.calls_end)};
      again = false;
    }
    return R"({"type":"triggered_tags","triggers":[)" + json_string(trigger_of(format_, shape_)) +
           R"(],"tags":)" + list(tags) + R"(,"at_least_one":)" + (at_least_one ? "true" : "false") +
           R"(,"stop_after_first":)" + (again ? "false}" : "true}");
  }

  const wire::Chat& chat_;
  ToolFormat format_;
  CallShape shape_;
  std::vector<std::string> calls_;
};

// What an answer must be as part of a tag; JSON alone can stand beside calls.
base::Result<std::string> answer_format(const grammar::Constraint& answer) {
  if (answer.kind == grammar::Constraint::Kind::json_object) {
    return schema_format(kAnyObject, "json");
  }
  if (answer.kind != grammar::Constraint::Kind::json_schema) {
    return base::make_error(base::ErrorCode::invalid_request,
                            answer.param + " cannot be combined with tools; leave one of them out.",
                            answer.param);
  }
  auto checked = grammar::checked_schema(answer.text, answer.param);
  if (checked.has_error()) return checked.error();
  return schema_format(*checked, "json");
}

}  // namespace

base::Result<std::optional<grammar::Constraint>> tool_tags(
    const wire::Chat& chat, ToolFormat format, const std::optional<grammar::Constraint>& answer) {
  std::optional<std::string> text;
  if (answer) {
    auto made = answer_format(*answer);
    if (made.has_error()) return made.error();
    text = std::move(*made);
  }
  auto tags = TagsBuilder(chat, format).build(text);
  if (tags.has_error()) return tags.error();
  grammar::Constraint made;
  made.kind = grammar::Constraint::Kind::structural_tag;
  made.text = R"({"type":"structural_tag","format":)" + *tags + "}";
  made.param = answer ? answer->param : "tools";
  return std::optional(std::move(made));
}

}  // namespace deepseek::engine
