#include "io/line_cutter.hpp"

#include "base/utf8.hpp"

#include <utility>

namespace deepseek::io {

void LineCutter::take(char character) {
  constexpr char escape = '\x1b';
  const bool letter =
      (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
  if (escape_ == Escape::begun) {
    escape_ = character == '[' ? Escape::sequence : Escape::none;
    return;
  }
  if (escape_ == Escape::sequence) {
    if (letter) escape_ = Escape::none;
    return;
  }
  if (character == escape) {
    escape_ = Escape::begun;
    return;
  }
  if (line_.size() >= line_bytes_max_) {
    cut_ = true;
    return;
  }
  if (character == '\t') character = ' ';
  if (static_cast<unsigned char>(character) >= 0x20 && character != 0x7f) line_ += character;
}

void LineCutter::end_line(std::vector<std::string>& lines) {
  escape_ = Escape::none;
  std::string line = finish();
  if (line.find_first_not_of(' ') != std::string::npos) lines.push_back(std::move(line));
}

std::vector<std::string> LineCutter::push(std::string_view bytes) {
  std::vector<std::string> lines;
  for (const char character : bytes) {
    if (character == '\n' || character == '\r') {
      end_line(lines);
    } else {
      take(character);
    }
  }
  return lines;
}

std::string LineCutter::finish() {
  base::Utf8Assembler text;
  std::string line = text.push(std::exchange(line_, {}));
  const bool cut = std::exchange(cut_, false);
  // A character that was cut in the middle says nothing.
  if (!cut) line += text.finish();
  if (cut) line += "…";
  return line;
}

}  // namespace deepseek::io
