// Reads the header of a GGUF file with bounds on everything, before ggml sees it.
//
// Pure: it works on the file's bytes and knows no file system. An error names the byte or the field
// and what to do. Nothing is allocated by numbers that the file claims.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::engine {

struct GgufHeader {
  std::uint32_t version = 0;
  std::uint64_t tensors = 0;
  std::uint64_t metadata_keys = 0;
  std::uint32_t alignment = 32;
  std::uint64_t data_offset = 0;   // bytes from the start of the file
  std::uint64_t tensor_bytes = 0;  // of all tensors
  std::uint64_t parameters = 0;
  std::string architecture;
};

// How one tensor type is stored.
struct TensorType {
  std::string name;
  std::uint64_t block_values = 1;
  std::uint64_t block_bytes = 0;
};
using TensorTypes = std::function<std::optional<TensorType>(std::uint32_t type)>;

// `file` is the whole file. `invalid_request` with the reason; the caller puts the path in front.
base::Result<GgufHeader> read_gguf_header(std::string_view file, const TensorTypes& types);

}  // namespace deepseek::engine
