#include "grammar/repetitions.hpp"

#include "grammar/limits.hpp"

#include <algorithm>

namespace deepseek::grammar {

bool has_bomb(const std::string& text) {
  std::int64_t product = 1;
  for (std::size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1)) {
    std::int64_t number = 0;
    std::int64_t largest = 0;
    for (std::size_t digit = at + 1; digit < text.size() && text[digit] != '}'; ++digit) {
      const bool is_digit = text[digit] >= '0' && text[digit] <= '9';
      number = is_digit ? number * 10 + (text[digit] - '0') : 0;
      largest = std::max(largest, number);
      if (largest > kRepeatMax) return true;
    }
    product *= std::max<std::int64_t>(largest, 1);
    if (product > kRepeatProductMax) return true;
  }
  return false;
}

}  // namespace deepseek::grammar
