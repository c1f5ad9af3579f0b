// What the system knows of a process: memory and processor time.
//
// Reads /proc; short and never waits for a disk. Any thread.
#pragma once

#include <cstdint>

namespace deepseek::observe {

// Bytes of memory that the process `pid` holds (0: this one); 0 when there is no such process.
std::uint64_t resident_bytes(std::uint32_t pid);

// Seconds of processor time that the process `pid` has used (0: this one), in user and system mode.
double cpu_seconds(std::uint32_t pid);

// Open descriptors of this process.
std::uint64_t open_descriptors();

}  // namespace deepseek::observe
