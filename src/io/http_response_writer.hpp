// The bytes of a response head, and of chunk framing. Field values that hold CR, LF or NUL are
// refused.
//
// Pure; any thread.
#pragma once

#include "base/result.hpp"
#include "io/http_message.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::io {

enum class ResponseFraming { length, chunked, until_close, none };

struct ResponseHeadOptions {
  ResponseFraming framing = ResponseFraming::length;
  std::uint64_t content_length = 0;  // with ResponseFraming::length
  bool close = false;                // the connection ends after it
  bool keep_alive_10 = false;        // tell an HTTP/1.0 client that it does not
  std::string_view date;             // as http_date() makes it
};

// Appends status line, fields and the empty line to `out`. Content-Length, Transfer-Encoding,
// Connection, Date and Server among the given fields are left out: they are the session's. Fails
// with `internal` for a name or a value that would break the framing; `out` is then untouched.
base::Result<void> append_response_head(const HttpResponse& response,
                                        const ResponseHeadOptions& options, std::string& out);

// 1xx, 204 and 304 have no body.
bool status_has_body(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(std::int64_t unix_seconds);

// The line before a chunk: hexadecimal size, CR LF. Made in place, no allocation.
class ChunkHeader {
 public:
  explicit ChunkHeader(std::size_t size);
  std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 20> bytes_;
  std::size_t size_;
};

}  // namespace deepseek::io
