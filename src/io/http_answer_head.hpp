// Strict parsing of one HTTP/1 response head, as a client must see it.
//
// Pure; any thread. What two readers could frame differently is refused.
#pragma once

#include "base/result.hpp"
#include "io/http_message.hpp"

#include <cstdint>
#include <string_view>

namespace deepseek::io {

enum class AnswerFraming { none, length, chunked, until_close };

struct HttpAnswerHead {
  int status = 0;
  HttpFields fields;
  AnswerFraming framing = AnswerFraming::none;
  std::uint64_t content_length = 0;
  bool keep_alive = true;  // the server will take another request

  bool interim() const { return status >= 100 && status < 200; }
};

// `bytes` is a whole head, its last four bytes are CRLF CRLF; `to_head` says that HEAD was asked.
// Error: upstream_failed, with what is wrong.
base::Result<HttpAnswerHead> parse_answer_head(std::string_view bytes, bool to_head);

}  // namespace deepseek::io
