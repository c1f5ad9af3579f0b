// Strict incremental decoder of a chunked body: no extensions, no trailers, CR LF only.
//
// Pure; one object per body, used from its connection's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::io {

class ChunkedDecoder {
 public:
  enum class Status { need_more, done, invalid, too_large };

  explicit ChunkedDecoder(std::uint64_t body_max) : body_max_(body_max) {}

  // Takes bytes off the front of `input` (all of them unless it ends) and appends data to `body`.
  // too_large as soon as a chunk announces more than body_max in total. After anything but
  // need_more it must not be called again.
  Status decode(std::string_view& input, std::string& body);

  std::uint64_t body_max() const { return body_max_; }
  // After invalid: what was wrong, a literal.
  std::string_view reason() const { return reason_; }

 private:
  enum class State { size_first, size, size_lf, data, data_cr, data_lf, end_cr, end_lf };

  Status step(char c);
  Status take_size_digit(char c);
  Status end_size();
  Status fail(std::string_view reason);

  std::uint64_t body_max_;
  std::uint64_t total_ = 0;      // data announced so far
  std::uint64_t remaining_ = 0;  // of the current chunk
  int digits_ = 0;
  State state_ = State::size_first;
  std::string_view reason_;
};

}  // namespace deepseek::io
