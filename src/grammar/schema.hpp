// Decides whether a JSON Schema (draft 2020-12) can be held to, and writes it so that xgrammar
// holds to all of it.
//
// Pure. Whatever is not enforced exactly is refused with the path of its keyword; annotations are
// dropped. What an answer then is: members in the order of the schema, no undeclared members where
// `properties` is given and `additionalProperties` is not, integers without fraction and exponent.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace deepseek::grammar {

// The schema as xgrammar gets it. `param` is the client's field: errors name keywords as
// "param/properties/name/pattern".
base::Result<std::string> checked_schema(std::string_view schema, const std::string& param);

}  // namespace deepseek::grammar
