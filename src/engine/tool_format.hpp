// How models write calls of tools, and the marks that begin them.
//
// Pure values. A model's chat template decides which of them its model was taught.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

enum class ToolFormat {
  deepseek_fenced,  // DeepSeek V3 and R1: function<｜tool▁sep｜>NAME and a ```json block
  deepseek_plain,   // DeepSeek V3.1: NAME<｜tool▁sep｜>{…}
  dsml_functions,   // DeepSeek V3.2: <｜DSML｜function_calls>, a tag for each parameter
  dsml_tools,       // DeepSeek V4: the same in <｜DSML｜tool_calls>
  hermes,           // Hermes and Qwen: <tool_call>{"name": …, "arguments": …}</tool_call>
  llama3,           // {"name": …, "parameters": …} is the whole answer
  mistral_list,     // [TOOL_CALLS][{"name": …, "arguments": …, "id": …}]
  mistral_named,    // [TOOL_CALLS]NAME[ARGS]{…}, with [CALL_ID]ID in between or not
  generic,          // the template knows no tools: as hermes, and the prompt says so
  other,            // one that llama.cpp's parsers read and this engine does not
};

// What a template's author wrote tells how its model calls. `knows_tools`: it does something with
// tools or with calls of them.
ToolFormat tool_format_of(std::string_view chat_template, bool knows_tools);

// The texts that may begin a call; none where any text may (llama3).
std::vector<std::string_view> call_marks(ToolFormat format);
// All texts of the format that a vocabulary may have as special tokens.
std::vector<std::string_view> format_marks(ToolFormat format);
// A call also ends the model's thinking: its marks are no text that a model thinks aloud.
bool call_ends_thinking(ToolFormat format);

// DeepSeek's marks.
inline constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kCallEnd = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kCallSeparator = "<｜tool▁sep｜>";
inline constexpr std::string_view kDsml = "｜DSML｜";
inline constexpr std::string_view kFunctionsBegin = "<｜DSML｜function_calls>";
inline constexpr std::string_view kFunctionsEnd = "</｜DSML｜function_calls>";
inline constexpr std::string_view kToolsBegin = "<｜DSML｜tool_calls>";
inline constexpr std::string_view kToolsEnd = "</｜DSML｜tool_calls>";
inline constexpr std::string_view kInvokeBegin = "<｜DSML｜invoke name=\"";
inline constexpr std::string_view kInvokeEnd = "</｜DSML｜invoke>";
inline constexpr std::string_view kParameterBegin = "<｜DSML｜parameter name=\"";
inline constexpr std::string_view kParameterEnd = "</｜DSML｜parameter>";
// Hermes'.
inline constexpr std::string_view kObjectBegin = "<tool_call>";
inline constexpr std::string_view kObjectEnd = "</tool_call>";
// Llama's and Mistral's.
inline constexpr std::string_view kPythonTag = "<|python_tag|>";
inline constexpr std::string_view kToolCalls = "[TOOL_CALLS]";
inline constexpr std::string_view kCallId = "[CALL_ID]";
inline constexpr std::string_view kArguments = "[ARGS]";

}  // namespace deepseek::engine
