// How much compressed data would come to, without keeping it: before a decoder that trusts it.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::io {

// Of a zlib stream (RFC 1950). More than `size_max`: a number above it, and no more is read.
// Nothing if the data is broken or ends too early. What stands behind the stream is not looked at.
std::optional<std::uint64_t> inflated_size(std::string_view zlib_stream, std::uint64_t size_max);

}  // namespace deepseek::io
