#include "io/public_address.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace deepseek::io {
namespace {

namespace ip = boost::asio::ip;

struct Block {
  std::uint32_t first = 0;
  unsigned bits = 0;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24U | b << 16U | c << 8U | d;
}

// IANA's registry of special-purpose addresses, and multicast.
constexpr std::array blocks_v4{
    Block{v4(0, 0, 0, 0), 8},        Block{v4(10, 0, 0, 0), 8},     Block{v4(100, 64, 0, 0), 10},
    Block{v4(127, 0, 0, 0), 8},      Block{v4(169, 254, 0, 0), 16}, Block{v4(172, 16, 0, 0), 12},
    Block{v4(192, 0, 0, 0), 24},     Block{v4(192, 0, 2, 0), 24},   Block{v4(192, 88, 99, 0), 24},
    Block{v4(192, 168, 0, 0), 16},   Block{v4(198, 18, 0, 0), 15},  Block{v4(198, 51, 100, 0), 24},
    Block{v4(203, 0, 113, 0), 24},   Block{v4(224, 0, 0, 0), 4},    Block{v4(240, 0, 0, 0), 4},
    Block{v4(168, 63, 129, 16), 32},  // a cloud's metadata, though it looks like any other
};

bool is_public_v4(std::uint32_t address) {
  return std::ranges::none_of(blocks_v4, [address](const Block& block) {
    return ((address ^ block.first) >> (32 - block.bits)) == 0;
  });
}

// Only what is handed out as global unicast, 2000::/3, without its special parts.
bool is_public_v6(const ip::address_v6::bytes_type& bytes) {
  const auto word = [&bytes](std::size_t index) {
    return static_cast<std::uint32_t>(bytes[index] << 8 | bytes[index + 1]);
  };
  if ((bytes[0] & 0xE0U) != 0x20U) return false;
  if (word(0) == 0x2001 && word(2) < 0x0200) return false;   // Teredo, ORCHID, benchmarks
  if (word(0) == 0x2001 && word(2) == 0x0DB8) return false;  // for documents
  if (word(0) == 0x2002) return false;                       // 6to4: an IPv4 address
  return word(0) != 0x3FFF || word(2) >= 0x1000;             // for documents
}

}  // namespace

bool is_public(const ip::address& address) {
  if (address.is_v4()) return is_public_v4(address.to_v4().to_uint());
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return is_public_v4(ip::make_address_v4(ip::v4_mapped, v6).to_uint());
  }
  return is_public_v6(v6.to_bytes());
}

}  // namespace deepseek::io
