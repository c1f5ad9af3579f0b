// llama.cpp's and ggml's own log, through our Logger: their lines at debug, their errors at
// warning.
//
// Process-wide, as llama.cpp's log is; installed once by main() or a test. Thread-safe. It also
// remembers the last error, so that a failed load can say why.
#pragma once

#include "base/log.hpp"

#include <cstdint>
#include <string>

namespace deepseek::engine::llama {

void bridge_log(base::Logger log);

// The last lines that llama.cpp wrote as errors since clear_errors(), joined; empty if none.
std::string last_errors();
void clear_errors();

// Bytes of weights that the loader laid out anew for this CPU, as its log told.
std::uint64_t repacked_bytes();

}  // namespace deepseek::engine::llama
