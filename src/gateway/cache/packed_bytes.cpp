#include "gateway/cache/packed_bytes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace deepseek::gateway {
namespace {

// Seven bits a byte, the lowest first; the high bit says that more follow.
void add_number(std::size_t number, std::string& out) {
  while (number >= 0x80) {
    out.push_back(static_cast<char>(0x80 | (number & 0x7f)));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

std::optional<std::size_t> take_number(std::string_view text, std::size_t& at) {
  std::size_t number = 0;
  for (unsigned shift = 0; shift < 56 && at < text.size(); shift += 7) {
    const auto byte = static_cast<std::uint8_t>(text[at++]);
    number |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return number;
  }
  return std::nullopt;
}

std::uint64_t eight_bytes(const char* at) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

std::size_t common_prefix(std::string_view left, std::string_view right) {
  const std::size_t limit = std::min(left.size(), right.size());
  std::size_t size = 0;
  while (size + 8 <= limit && eight_bytes(&left[size]) == eight_bytes(&right[size])) size += 8;
  while (size < limit && left[size] == right[size]) ++size;
  return size;
}

std::size_t common_suffix(std::string_view left, std::string_view right) {
  const std::size_t limit = std::min(left.size(), right.size());
  const char* const left_end = left.data() + left.size();
  const char* const right_end = right.data() + right.size();
  std::size_t size = 0;
  while (size + 8 <= limit &&
         eight_bytes(left_end - size - 8) == eight_bytes(right_end - size - 8)) {
    size += 8;
  }
  while (size < limit && left_end[-1 - static_cast<std::ptrdiff_t>(size)] ==
                             right_end[-1 - static_cast<std::ptrdiff_t>(size)]) {
    ++size;
  }
  return size;
}

}  // namespace

void PiecePacker::add(std::string_view piece, std::string& packed) {
  const std::size_t prefix = common_prefix(previous_, piece);
  const std::size_t suffix =
      common_suffix(std::string_view(previous_).substr(prefix), piece.substr(prefix));
  const std::string_view middle = piece.substr(prefix, piece.size() - prefix - suffix);
  add_number(prefix, packed);
  add_number(suffix, packed);
  add_number(middle.size(), packed);
  packed.append(middle);
  previous_.assign(piece);
}

bool PieceUnpacker::next(std::string_view packed, std::string& out) {
  std::size_t at = at_;
  const auto prefix = take_number(packed, at);
  const auto suffix = take_number(packed, at);
  const auto middle = take_number(packed, at);
  if (!prefix || !suffix || !middle || *middle > packed.size() - at || *prefix > previous_.size() ||
      *suffix > previous_.size() - *prefix) {
    return false;
  }
  const std::size_t start = out.size();
  const std::string_view previous = previous_;
  out.append(previous.substr(0, *prefix));
  out.append(packed.substr(at, *middle));
  out.append(previous.substr(previous.size() - *suffix));
  previous_.assign(out, start);
  at_ = at + *middle;
  return true;
}

}  // namespace deepseek::gateway
