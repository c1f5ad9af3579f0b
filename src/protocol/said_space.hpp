// White space at the end of a text that an upstream is to go on with, where it takes no text that
// ends so: it gets the text without, and what it says of it again is left out of its answer.
//
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace deepseek::protocol {

class SaidSpace {
 public:
  SaidSpace() = default;

  // Cuts the white space off `text` and remembers it.
  static SaidSpace cut_from(std::string& text) {
    std::size_t size = text.size();
    while (const std::size_t space = space_at_end(std::string_view(text).substr(0, size))) {
      size -= space;
    }
    SaidSpace said;
    said.left_ = text.substr(size);
    text.resize(size);
    return said;
  }

  // Of the next piece of the answer, whole characters. What comes in place of the white space
  // that was said, another kind of it, goes too; the first character that is none ends it.
  void drop_from(std::string& piece) {
    std::size_t at = 0;
    while (!left_.empty() && at < piece.size()) {
      if (piece[at] == left_.front()) {
        left_.erase(0, 1);
        ++at;
      } else if (is_ascii_space(piece[at])) {
        ++at;
      } else {
        left_.clear();
      }
    }
    piece.erase(0, at);
  }

  bool pending() const { return !left_.empty(); }

 private:
  static bool is_ascii_space(char c) {
    return std::string_view(" \t\r\n\f\v").find(c) != std::string_view::npos;
  }
  static std::size_t space_at_end(std::string_view text) {
    // Those beyond ASCII that texts end with: no-break, en, em and ideographic space.
    constexpr std::array<std::string_view, 4> wide{"\xC2\xA0", "\xE2\x80\x82", "\xE2\x80\x83",
                                                   "\xE3\x80\x80"};
    if (!text.empty() && is_ascii_space(text.back())) return 1;
    for (const std::string_view space : wide) {
      if (text.ends_with(space)) return space.size();
    }
    return 0;
  }

  std::string left_;
};

}  // namespace deepseek::protocol
