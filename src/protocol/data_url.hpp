// Images that a client puts into its request: "data:image/png;base64,…".
//
// Pure.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace deepseek::protocol {

inline constexpr std::string_view data_scheme = "data:";

// The file that such a URL holds, at most `bytes_max` of it; its type must be one that is read here
// (PNG, JPEG). `invalid_request`, which names `param`, the client's field.
base::Result<std::string> read_data_url(std::string_view url, std::int64_t bytes_max,
                                        const std::string& param);

// Standard alphabet; line ends are passed over, padding may be missing. invalid_request.
base::Result<std::string> decode_base64(std::string_view text);

}  // namespace deepseek::protocol
