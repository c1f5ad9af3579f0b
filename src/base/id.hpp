// Random identifiers for requests, answers and tool calls.
//
// Thread-safe: each thread owns its generator, seeded by the operating system. Not for secrets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace deepseek::base {

// `prefix` followed by `length` characters of [0-9a-zA-Z], as "chatcmpl-" and 24. A thread repeats
// itself after 2^64 words of four characters, and begins at a place that the system chose.
std::string random_id(std::string_view prefix, std::size_t length = 24);

}  // namespace deepseek::base
