// The header of a GGUF file on disk, read before llama.cpp opens it.
//
// Pure but for the file.
#pragma once

#include "engine/gguf_header.hpp"

#include <string>

namespace deepseek::engine::llama {

// `what` it is, for refusals: "model file". They name its path: invalid_request.
base::Result<GgufHeader> read_gguf_file(const std::string& what, const std::string& path);
base::Error refuse_file(const std::string& what, const std::string& path, const std::string& why);

}  // namespace deepseek::engine::llama
