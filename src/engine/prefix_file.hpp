// One stored prefix as bytes: what it belongs to, its tokens, its state, and a checksum over all.
//
// Pure. Every file says which model, key and tokens it holds; a reader believes nothing before the
// checksum agrees.
#pragma once

#include "base/result.hpp"
#include "engine/kv_tree.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

struct PrefixFile {
  std::string model;
  std::string key;
  std::vector<Token> tokens;
  std::string state;
};

// Everything before the state; the state and a SHA-256 over both follow.
std::string prefix_file_head(std::string_view model, std::string_view key,
                             std::span<const Token> tokens, std::uint64_t state_bytes);
std::string prefix_file_checksum(std::string_view head, std::string_view state);

// What the first bytes of a file say; `invalid_request` if they are no whole head.
struct PrefixFileHead {
  std::string model;
  std::string key;
  std::vector<Token> tokens;
  std::uint64_t state_bytes = 0;
  std::size_t size = 0;  // of the head; the file has size + state_bytes + 32 bytes
};
base::Result<PrefixFileHead> read_prefix_head(std::string_view bytes);
// A whole file.
base::Result<PrefixFile> read_prefix_file(std::string_view bytes);

inline constexpr std::size_t kPrefixChecksumBytes = 32;
inline constexpr std::size_t kPrefixTokensMax = 1U << 22;
inline constexpr std::size_t kPrefixNameMax = 4096;  // bytes of a model's name or a key

}  // namespace deepseek::engine
