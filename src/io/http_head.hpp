// Strict parsing of one HTTP/1 request head. What two parsers could read differently is refused.
//
// Pure; any thread. It decides on syntax and body framing only, never on paths or methods.
#pragma once

#include "io/http_message.hpp"

#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace deepseek::io {

enum class BodyFraming { none, length, chunked };

struct HttpHead {
  HttpRequest request;  // without body, peer_address, secure
  BodyFraming framing = BodyFraming::none;
  std::uint64_t content_length = 0;
  int minor_version = 1;         // HTTP/1.x
  bool keep_alive = true;        // as the client wants it
  bool expect_continue = false;  // it waits for 100 before it sends the body
};

// A bad head is a refusal with status 400, 417, 431 or 505.
using HeadResult = boost::system::result<HttpHead, HttpRefusal>;

// `bytes` is a whole head, its last four bytes are CRLF CRLF. No leading empty line. The limit's
// name in a refusal is "fields_max".
HeadResult parse_head(std::string_view bytes, std::size_t fields_max);

// Finds the end of a head in a growing buffer; each byte is looked at once.
class HeadScanner {
 public:
  enum class Status { incomplete, complete, invalid };

  // `bytes` starts at the same byte each time. Invalid as soon as a byte shows up that no head may
  // hold: a bare CR or LF, another control character, a first byte that starts no method.
  Status scan(std::string_view bytes);
  // After complete: the length of the head including CRLF CRLF.
  std::size_t size() const { return position_; }

 private:
  std::size_t position_ = 0;
  bool line_empty_ = true;  // nothing on the current line yet
  bool after_cr_ = false;
};

// tchar of RFC 9110, one or more.
bool is_token(std::string_view text);
// No control characters but tab.
bool is_field_value(std::string_view text);

}  // namespace deepseek::io
