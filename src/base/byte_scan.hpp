// Finding bytes in text, many at a time.
//
// Pure; any thread. The result does not depend on the machine's vector instructions.
#pragma once

#include <cstddef>
#include <string_view>

namespace deepseek::base {

// Where the first control character of ASCII (0x00 to 0x1F, 0x7F) at or behind `from` is;
// text.size() if there is none.
std::size_t find_control(std::string_view text, std::size_t from = 0);

}  // namespace deepseek::base
