#include "gateway/cache/cached_answer.hpp"

#include "gateway/cache/packed_bytes.hpp"

#include <string.h>

namespace deepseek::gateway {
namespace {

constexpr std::string_view usage_name = "\"usage\":";
constexpr std::string_view cached_field = "\"cached_answer\":true";

// What an entry needs beside its strings: the answer with the counters of its shared_ptr, the node
// of the index with the key, the index's slot, and what the allocator adds to each.
constexpr std::size_t index_node_bytes = 136;
constexpr std::size_t allocator_bytes = 16;
constexpr std::size_t overhead_bytes =
    sizeof(CachedAnswer) + 32 + index_node_bytes + 5 * allocator_bytes;

std::size_t heap_bytes(const std::string& text) {
  constexpr std::size_t inside_max = 15;
  return text.capacity() > inside_max ? text.capacity() + 1 : 0;
}

}  // namespace

std::size_t memory_bytes(const CachedAnswer& answer) {
  return overhead_bytes + heap_bytes(answer.tenant) + heap_bytes(answer.model) +
         heap_bytes(answer.packed);
}

std::optional<std::string> replay(const CachedAnswer& answer) {
  std::string bytes;
  bytes.reserve(answer.raw_bytes + cached_field.size() + 1);
  PieceUnpacker unpacker;
  while (bytes.size() < answer.raw_bytes) {
    if (!unpacker.next(answer.packed, bytes)) return std::nullopt;
  }
  if (bytes.size() != answer.raw_bytes) return std::nullopt;
  if (answer.usage_mark && *answer.usage_mark < bytes.size()) {
    const std::size_t after = bytes.find_first_not_of(" \t\r\n", *answer.usage_mark);
    const bool empty = after != std::string::npos && bytes[after] == '}';
    bytes.insert(*answer.usage_mark, std::string(cached_field) + (empty ? "" : ","));
  }
  return bytes;
}

std::optional<std::size_t> find_usage_mark(std::string_view piece) {
  // Inside a string the quotes would have backslashes, so this is a field's name.
  std::optional<std::size_t> mark;
  for (std::size_t at = 0; at < piece.size();) {
    // Not std::string_view::find(), which stops at every quote.
    const void* const found =
        ::memmem(piece.data() + at, piece.size() - at, usage_name.data(), usage_name.size());
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - piece.data()) +
         usage_name.size();
    const std::size_t brace = piece.find_first_not_of(' ', at);
    if (brace != std::string_view::npos && piece[brace] == '{') mark = brace + 1;
  }
  return mark;
}

}  // namespace deepseek::gateway
