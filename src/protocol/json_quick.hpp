// The quick half of parse_json(): takes the JSON that clients send every day, and leaves whatever
// is wrong or unusual to the careful half, which finds the words for it.
//
// Pure; private to json.cpp. It never accepts what the careful half refuses.
#pragma once

#include "base/result.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/value.hpp>
#include <optional>
#include <string_view>

namespace deepseek::protocol {

// Nothing does not mean that the text is wrong.
std::optional<boost::json::value> parse_json_quickly(std::string_view text,
                                                     const RequestLimits& limits);

// The careful half; the errors of parse_json() come from here.
base::Result<boost::json::value> parse_json_carefully(std::string_view text,
                                                      const RequestLimits& limits);

}  // namespace deepseek::protocol
