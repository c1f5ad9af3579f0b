// The tool parser of the formats that this engine reads itself; see tool_format.hpp.
//
// Pure; its work per byte is bounded, whatever the text.
#pragma once

#include "engine/tool_format.hpp"
#include "engine/tool_parser.hpp"

#include <functional>

namespace deepseek::engine {

struct ToolSplitterOptions {
  ToolFormat format = ToolFormat::generic;
  std::vector<std::string> names;        // of the tools that may be called
  bool parallel = true;                  // more than one call
  bool at_start = true;                  // false: the answer has begun already
  std::function<std::string()> make_id;  // of a call whose format has none
};

std::unique_ptr<ToolParser> make_tool_splitter(ToolSplitterOptions options);

}  // namespace deepseek::engine
