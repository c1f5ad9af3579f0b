// The top-level fields of a JSON object as pieces of its text, so that a body can be changed in a
// field or two and copied otherwise.
//
// Pure; linear, quick over strings. Only for text that parse_json_object() has accepted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

struct BodyField {
  enum class Kind : std::uint8_t { string, number, boolean, null, array, object };
  std::string name;        // what the key means: escapes are resolved
  std::string_view value;  // as in the text, with quotes or brackets
  Kind kind = Kind::null;
};

struct BodyOutline {
  std::string_view text;  // must outlive the outline
  std::vector<BodyField> fields;

  const BodyField* find(std::string_view name) const;
};

// Empty for text that is no object.
BodyOutline outline_body(std::string_view text);

}  // namespace deepseek::protocol
