// JSON in, strictly, and JSON text out.
//
// Pure. The parser refuses what two readers could read differently: duplicate keys, NUL, lone
// surrogates, invalid UTF-8, bytes after the end, numbers beyond a double, and depth over its
// limit. Cost is linear in the text (times the logarithm of the keys of one object).
#pragma once

#include "base/result.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// One JSON value. Errors are invalid_request and say where: "bad JSON at line 1, column 17 (byte
// 16): expected ':' after a key, found 'x'". Columns count characters, from 1.
base::Result<boost::json::value> parse_json(std::string_view text, const RequestLimits& limits);

// The same, and it must be an object.
base::Result<boost::json::object> parse_json_object(std::string_view text,
                                                    const RequestLimits& limits);

// Appends `text` as the inside of a JSON string, without quotes. Invalid bytes become U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);
// The same with quotes.
void append_json_string(std::string& out, std::string_view text);
// The shortest text that reads back as the same number; null for NaN and infinity.
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, float value);
void append_json_integer(std::string& out, std::int64_t value);

}  // namespace deepseek::protocol
