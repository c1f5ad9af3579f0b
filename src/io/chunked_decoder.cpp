#include "io/chunked_decoder.hpp"

#include <algorithm>

namespace deepseek::io {

namespace {

constexpr int digits_max = 8;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkedDecoder::Status ChunkedDecoder::decode(std::string_view& input, std::string& body) {
  while (!input.empty()) {
    if (state_ == State::data) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, input.size()));
      body.append(input.data(), size);
      input.remove_prefix(size);
      remaining_ -= size;
      if (remaining_ == 0) state_ = State::data_cr;
      continue;
    }
    const char c = input.front();
    input.remove_prefix(1);
    const Status status = step(c);
    if (status != Status::need_more) return status;
  }
  return Status::need_more;
}

ChunkedDecoder::Status ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::size_first:
      digits_ = 0;
      remaining_ = 0;
      state_ = State::size;
      return take_size_digit(c);
    case State::size:
      if (c != '\r') return take_size_digit(c);
      state_ = State::size_lf;
      return Status::need_more;
    case State::size_lf:
      return c == '\n' ? end_size() : fail("a chunk size does not end in CR LF");
    case State::data_cr:
      state_ = State::data_lf;
      return c == '\r' ? Status::need_more : fail("a chunk is longer than its size");
    case State::data_lf:
      state_ = State::size_first;
      return c == '\n' ? Status::need_more : fail("a chunk does not end in CR LF");
    case State::end_cr:
      state_ = State::end_lf;
      return c == '\r' ? Status::need_more : fail("trailer fields are not allowed");
    case State::end_lf:
      return c == '\n' ? Status::done : fail("the chunked body does not end in CR LF");
    case State::data:
      break;
  }
  return fail("internal");
}

ChunkedDecoder::Status ChunkedDecoder::take_size_digit(char c) {
  const int value = hex_value(c);
  if (value < 0) return fail("a chunk size is not a hexadecimal number alone on its line");
  if (++digits_ > digits_max) return fail("a chunk size has more than 8 digits");
  remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(value);
  return Status::need_more;
}

ChunkedDecoder::Status ChunkedDecoder::end_size() {
  if (remaining_ == 0) {
    state_ = State::end_cr;
    return Status::need_more;
  }
  if (remaining_ > body_max_ - total_) return Status::too_large;
  total_ += remaining_;
  state_ = State::data;
  return Status::need_more;
}

ChunkedDecoder::Status ChunkedDecoder::fail(std::string_view reason) {
  reason_ = reason;
  return Status::invalid;
}

}  // namespace deepseek::io
