#include "io/inflated_size.hpp"

#include <array>
#include <boost/beast/zlib/inflate_stream.hpp>

namespace deepseek::io {
namespace {

constexpr std::size_t head_bytes = 2;
constexpr std::size_t piece_bytes = 64u << 10;

}  // namespace

std::optional<std::uint64_t> inflated_size(std::string_view zlib_stream, std::uint64_t size_max) {
  namespace zlib = boost::beast::zlib;
  if (zlib_stream.size() < head_bytes) return std::nullopt;
  const auto method = static_cast<unsigned char>(zlib_stream[0]);
  const auto flags = static_cast<unsigned char>(zlib_stream[1]);
  const bool dictionary = (flags & 0x20U) != 0;
  if ((method & 0x0FU) != 8 || (method * 256U + flags) % 31 != 0 || dictionary) {
    return std::nullopt;
  }
  zlib_stream.remove_prefix(head_bytes);
  zlib::inflate_stream stream;
  std::array<char, piece_bytes> piece{};
  zlib::z_params position;
  position.next_in = zlib_stream.data();
  position.avail_in = zlib_stream.size();
  std::uint64_t size = 0;
  for (;;) {
    position.next_out = piece.data();
    position.avail_out = piece.size();
    boost::system::error_code error;
    stream.write(position, zlib::Flush::none, error);
    const std::size_t made = piece.size() - position.avail_out;
    size += made;
    if (size > size_max || error == zlib::error::end_of_stream) return size;
    // It asks for more input, or makes nothing of what it has.
    if (error || made == 0) return std::nullopt;
  }
}

}  // namespace deepseek::io
