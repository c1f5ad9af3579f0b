// The chat template of DeepSeek V3, for files that bring none or the first one; deepseek_v3.jinja.
#pragma once

#include <string_view>

namespace deepseek::engine::llama {

extern const std::string_view kDeepseekV3Template;

}  // namespace deepseek::engine::llama
