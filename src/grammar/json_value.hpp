// A JSON text as a tree that keeps what a schema needs: the order of members, and numbers as they
// are written.
//
// Pure. Strict: no member twice, no lone surrogates, nothing behind the value, bounded depth.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::grammar {

struct Json {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  bool truth = false;                                      // boolean
  std::string text = {};                                   // a string's UTF-8, a number as written
  std::vector<Json> items = {};                            // array
  std::vector<std::pair<std::string, Json>> members = {};  // object

  const Json* find(std::string_view name) const;
  bool is(Kind which) const { return kind == which; }
};

// `param` names the client's field in errors.
base::Result<Json> parse_json(std::string_view text, std::size_t depth_max,
                              const std::string& param);

void append_utf8(std::string& text, char32_t character);
// The characters of valid UTF-8.
std::u32string to_characters(std::string_view text);

}  // namespace deepseek::grammar
