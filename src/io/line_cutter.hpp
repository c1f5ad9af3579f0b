// Cuts what a program prints into lines for a log: bounded, printable, without colours.
//
// Pure; one per program.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::io {

class LineCutter {
 public:
  explicit LineCutter(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  // The lines that are complete now, without blank ones. A carriage return ends a line too: that
  // is how progress is shown. What is longer than a line may be is cut, with "…" behind it.
  std::vector<std::string> push(std::string_view bytes);
  // What is left at the end; empty if nothing.
  std::string finish();

 private:
  void take(char character);
  void end_line(std::vector<std::string>& lines);

  std::size_t line_bytes_max_;
  std::string line_;
  bool cut_ = false;
  enum class Escape { none, begun, sequence } escape_ = Escape::none;
};

}  // namespace deepseek::io
