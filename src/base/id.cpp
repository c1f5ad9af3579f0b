#include "base/id.hpp"

#include "base/random.hpp"

#include <cstdint>

namespace deepseek::base {

std::string random_id(std::string_view prefix, std::size_t length) {
  static constexpr std::string_view alphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr unsigned bits_each = 16;  // a letter is likelier than another by 1 in 1,000 at most
  std::string id(prefix);
  id.reserve(prefix.size() + length);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < length; ++i) {
    bits = i % (64 / bits_each) == 0 ? random_bits() : bits >> bits_each;
    id.push_back(alphabet[((bits & 0xFFFF) * alphabet.size()) >> bits_each]);
  }
  return id;
}

}  // namespace deepseek::base
