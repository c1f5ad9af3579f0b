// The signature of thinking blocks that no model of Anthropic made. Clients give a block back only
// with a signature, so there is one; an upstream that checks signatures never gets such a block.
//
// Pure.
#pragma once

#include <string_view>

namespace deepseek::protocol {

inline constexpr std::string_view own_signature = "ZGVlcHNlZWstc2VydmVy";

}  // namespace deepseek::protocol
