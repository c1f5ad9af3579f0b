#include "engine/tool_format.hpp"

namespace deepseek::engine {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

ToolFormat tool_format_of(std::string_view chat_template, bool knows_tools) {
  if (has(chat_template, kDsml) || has(chat_template, "dsml_token")) {
    return has(chat_template, "function_calls") ? ToolFormat::dsml_functions
                                                : ToolFormat::dsml_tools;
  }
  if (has(chat_template, kCallSeparator)) {
    return has(chat_template, "```json") ? ToolFormat::deepseek_fenced : ToolFormat::deepseek_plain;
  }
  if (has(chat_template, kToolCalls)) {
    return has(chat_template, kArguments) ? ToolFormat::mistral_named : ToolFormat::mistral_list;
  }
  // Tags for each parameter instead of one object are another family's.
  const bool tagged = has(chat_template, "<function=") || has(chat_template, "<arg_key>") ||
                      has(chat_template, "<invoke name=");
  if (has(chat_template, "<tool_call>") && has(chat_template, "arguments") && !tagged) {
    return ToolFormat::hermes;
  }
  if (has(chat_template, "<|start_header_id|>") && has(chat_template, "\"parameters\": ") &&
      !has(chat_template, ">>>") && !has(chat_template, "<function=")) {
    return ToolFormat::llama3;
  }
  return knows_tools ? ToolFormat::other : ToolFormat::generic;
}

std::vector<std::string_view> call_marks(ToolFormat format) {
  switch (format) {
    case ToolFormat::deepseek_fenced:
    case ToolFormat::deepseek_plain:
      return {kCallsBegin, kCallBegin};
    case ToolFormat::dsml_functions:
    case ToolFormat::dsml_tools:
      return {kFunctionsBegin, kToolsBegin, kInvokeBegin};
    case ToolFormat::hermes:
    case ToolFormat::generic:
      return {kObjectBegin};
    case ToolFormat::llama3:
      return {kPythonTag};
    case ToolFormat::mistral_list:
    case ToolFormat::mistral_named:
      return {kToolCalls};
    case ToolFormat::other:
      break;
  }
  return {};
}

std::vector<std::string_view> format_marks(ToolFormat format) {
  switch (format) {
    case ToolFormat::deepseek_fenced:
    case ToolFormat::deepseek_plain:
      return {kCallsBegin, kCallsEnd, kCallBegin, kCallEnd, kCallSeparator};
    case ToolFormat::dsml_functions:
    case ToolFormat::dsml_tools:
      return {kDsml};
    case ToolFormat::hermes:
    case ToolFormat::generic:
      return {kObjectBegin, kObjectEnd};
    case ToolFormat::llama3:
      return {kPythonTag};
    case ToolFormat::mistral_list:
    case ToolFormat::mistral_named:
      return {kToolCalls, kCallId, kArguments};
    case ToolFormat::other:
      break;
  }
  return {};
}

bool call_ends_thinking(ToolFormat format) {
  switch (format) {
    case ToolFormat::deepseek_fenced:
    case ToolFormat::deepseek_plain:
    case ToolFormat::dsml_functions:
    case ToolFormat::dsml_tools:
    case ToolFormat::mistral_list:
    case ToolFormat::mistral_named:
      return true;
    default:
      return false;
  }
}

}  // namespace deepseek::engine
