// Counted repetitions, as {2,5}, of expressions and grammars.
//
// Pure.
#pragma once

#include <string>

namespace deepseek::grammar {

// They are unrolled: true if one is long, or long multiplied with those around it.
bool has_bomb(const std::string& text);

}  // namespace deepseek::grammar
