// Brings a chat with tools into what a chat template can show.
//
// Pure. Texts of users are guarded before (special_text.hpp): what is added here may hold special
// tokens.
#pragma once

#include "engine/tool_format.hpp"

#include "deepseek/engine/v1/engine.pb.h"

#include <string>
#include <string_view>

namespace deepseek::engine {

struct ToolPrompt {
  ToolFormat format = ToolFormat::generic;
  bool shows_tools = false;  // the template writes the tools' list itself
};

// - With tool_choice none the model is shown no tools.
// - Results stand in the order of their calls: most formats have no ids.
// - Where the template shows no tools, the system message does; where it knows no calls either,
//   calls and results are text.
// - Mistral's ids are nine letters and digits; Llama 3 makes one call at a time.
deepseek::engine::v1::Chat prepare_tools(deepseek::engine::v1::Chat chat, const ToolPrompt& prompt);

// Nine letters and digits: the id itself if it is so, else the same nine for the same id.
std::string mistral_id(std::string_view id);

}  // namespace deepseek::engine
