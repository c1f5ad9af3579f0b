// UTF-8 that arrives in pieces: keeps back a character that is cut, and replaces bytes that can
// never become one.
//
// Pure; one object per stream, used from its owner's thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace deepseek::base {

bool is_valid_utf8(std::string_view text);

class Utf8Assembler {
 public:
  // Appends bytes and returns what is complete and valid so far. An invalid byte becomes U+FFFD.
  // At most 3 bytes are kept back.
  std::string push(std::string_view bytes);
  // The end of the stream: what is kept back becomes U+FFFD.
  std::string finish();
  std::size_t pending_bytes() const { return pending_.size(); }

 private:
  std::string pending_;
};

}  // namespace deepseek::base
