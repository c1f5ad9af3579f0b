// The beginning of a prompt as a chain of hashes: two prompts share as many leading hashes as they
// share whole blocks of text.
//
// Pure; lives on the stack of who asks (2 KB), no allocation. A block is 64 bytes, about 16 tokens
// of English and 13 to 20 of Chinese. What comes after `prefix_blocks_per_prompt` blocks (16 KB) is
// not looked at: by then the choice is clear.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace deepseek::protocol {
struct Request;
}

namespace deepseek::gateway {

inline constexpr std::size_t prefix_block_bytes = 64;
inline constexpr std::size_t prefix_blocks_per_prompt = 256;

class PrefixBlocks {
 public:
  // `seed` keeps apart what shares no cache: hash the model and the tenant into it (prefix_seed).
  explicit PrefixBlocks(std::uint64_t seed) : state_(seed) {}

  // Pieces follow each other without a seam: the caller adds what separates them in the template.
  void add(std::string_view piece);
  bool full() const { return count_ == blocks_.size(); }
  // Whole blocks only; a rest at the end is not hashed.
  std::span<const std::uint64_t> blocks() const { return std::span(blocks_).first(count_); }

 private:
  void push(std::string_view block);

  std::uint64_t state_;
  std::size_t count_ = 0;
  std::size_t rest_ = 0;  // bytes of a block that is not whole yet
  std::array<char, prefix_block_bytes> rest_bytes_;
  std::array<std::uint64_t, prefix_blocks_per_prompt> blocks_;
};

std::uint64_t prefix_seed(std::string_view model, std::string_view tenant);

// All of a request's text in the order in which a model reads it.
void add_prompt(PrefixBlocks& blocks, const protocol::Request& request);

// As above, for who has pieces and time.
std::vector<std::uint64_t> prefix_blocks(std::uint64_t seed,
                                         std::initializer_list<std::string_view> pieces);

}  // namespace deepseek::gateway
