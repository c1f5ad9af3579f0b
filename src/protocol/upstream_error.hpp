// What an upstream says when it refuses or fails, as an error for our client.
//
// Pure. Only words from JSON are repeated, bounded and without secrets; HTML never is, nor anything
// about the account that we have there.
#pragma once

#include "base/error.hpp"
#include "protocol/upstream_chunk.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::protocol {

// What the two header fields ask for, at most a day; retry-after-ms wins. A date counts from
// `unix_now`. Nothing if neither is there or makes sense.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view retry_after,
                                                           std::string_view retry_after_ms,
                                                           std::int64_t unix_now);

// The error of a response with a status other than 200. 400, 404 (of a model), 413 and 422 are the
// client's own; 429 and 503 keep `retry_after`; everything else is upstream_failed. `key` is what
// we sent; it appears nowhere.
base::Error parse_upstream_error(int status, std::string_view body,
                                 std::optional<std::chrono::milliseconds> retry_after,
                                 std::string_view key);

// The `type` of an error object, as Anthropic's form has it: "overloaded_error" …; empty if none.
std::string upstream_error_type(std::string_view error);

// Of a frame or answer with `error` or `interrupted`: upstream_failed, with the upstream's words.
base::Error upstream_chunk_error(const UpstreamChunk& chunk, std::string_view key);

}  // namespace deepseek::protocol
