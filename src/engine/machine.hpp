// What this machine has: cores, memory, and how much of it this process holds.
//
// Thin readers of /proc and /sys; the parsing is pure and tested. Called at start and for reports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::engine {

// Cores without their hyper-threads, of those this process may use; at least 1.
std::int32_t physical_cores();
// As the kernel names it, "AMD EPYC 9B45"; "unknown" if it does not.
std::string processor_name();
// Resident memory of this process.
std::uint64_t resident_bytes();

struct MemoryLimits {
  std::uint64_t available = 0;             // what new allocations may take
  std::string limited_by = "the machine";  // or "the control group"
};
MemoryLimits memory_limits();

// "MemAvailable:   24105000 kB" in /proc/meminfo, as bytes.
std::optional<std::uint64_t> parse_meminfo(std::string_view text, std::string_view key);
// The value of a memory.max or memory.limit_in_bytes file; nothing for "max" and for the number
// that version 1 has for "no limit".
std::optional<std::uint64_t> parse_cgroup_limit(std::string_view text);

}  // namespace deepseek::engine
