// Names with wildcards: `*` is any run of characters, `?` any one. Case matters.
//
// Pure; at most text × pattern steps, no allocation.
#pragma once

#include <string_view>

namespace deepseek::gateway {

bool matches(std::string_view pattern, std::string_view text);

}  // namespace deepseek::gateway
