// Cuts a stream of messages, each behind a byte of flags and its length in four bytes, as gRPC has
// them on the wire, into messages.
//
// Pure. The stream is our own encoders', so it is well formed; it may be cut anywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace deepseek::io {

class GrpcMessageCutter {
 public:
  static constexpr std::size_t prefix_size = 5;

  void push(std::string_view piece) { bytes_ += piece; }

  // The next whole message.
  std::optional<std::string> next() {
    const std::string_view rest = std::string_view(bytes_).substr(begin_);
    if (rest.size() >= prefix_size) {
      std::size_t size = 0;
      for (std::size_t i = 1; i < prefix_size; ++i) {
        size = (size << 8) | static_cast<unsigned char>(rest[i]);
      }
      if (rest.size() - prefix_size >= size) {
        begin_ += prefix_size + size;
        return std::string(rest.substr(prefix_size, size));
      }
    }
    bytes_.erase(0, begin_);
    begin_ = 0;
    return std::nullopt;
  }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;  // of what was not taken yet
};

}  // namespace deepseek::io
