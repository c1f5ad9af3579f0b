// How a client's own values appear in messages: bounded, printable, and without secrets.
//
// Pure. Whatever goes from a request into an error or a log line passes through here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// `value` in double quotes, at most 64 characters of it (then "…"); control characters escaped,
// secrets masked.
std::string quote_value(std::string_view value);

// The same by a shorter name. With a std::string argument call it qualified: std::quoted is found
// by the argument's namespace otherwise.
inline std::string quoted(std::string_view value) {
  return quote_value(value);
}

// Replaces what looks like a key or token ("sk-…", "Bearer …", a JWT, long mixed runs of letters
// and digits) by "***". Linear.
std::string redact(std::string_view text);

// The longest prefix of at most `bytes_max` bytes that does not cut a UTF-8 character.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);

}  // namespace deepseek::protocol
