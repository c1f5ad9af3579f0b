// Sizes, times and percentages as people write them: "16GB", "500ms", "90%".
//
// Pure. Parsing fails with a message that names what was found and what is allowed.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::base {

// "64", "64B", "16KB", "512MB", "16GB", "1.5TB"; KiB, MiB … mean the same powers of 1024. Case does
// not matter.
Result<std::uint64_t> parse_bytes(std::string_view text);
std::string format_bytes(
    std::uint64_t bytes);  // the largest unit that divides exactly: 536870912 → "512MB"

// "500ms", "30s", "5m", "1h", "2d", "1.5s"; "0" needs no unit; a bare number is an error.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds value);

// "90%" → 0.9. Also "0.9". In [0, 1].
Result<double> parse_percentage(std::string_view text);
std::string format_percentage(double fraction);

}  // namespace deepseek::base
