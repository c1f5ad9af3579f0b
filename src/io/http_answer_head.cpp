#include "io/http_answer_head.hpp"

#include "io/http_head.hpp"

#include <algorithm>
#include <charconv>

namespace deepseek::io {

namespace {

using base::ErrorCode;
using base::Result;

constexpr std::size_t answer_fields_max = 256;

base::Error bad(std::string what) {
  return base::make_error(ErrorCode::upstream_failed, std::move(what));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "HTTP/1.1 200 OK": the minor version, or -1.
int parse_status_line(std::string_view line, HttpAnswerHead& head) {
  const bool known = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!known || line.size() < 12) return -1;
  const std::string_view status = line.substr(9, 3);
  if (!std::all_of(status.begin(), status.end(), is_digit) || status.front() == '0') return -1;
  if (line.size() > 12 && line[12] != ' ') return -1;
  head.status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
  return line[7] - '0';
}

// What decides how the body ends, gathered while the fields are read.
struct Framing {
  std::size_t lengths = 0;
  std::size_t codings = 0;
  std::string_view length;
  std::string_view coding;
  bool close = false;
  bool keep = false;
};

void note_connection(std::string_view value, Framing& framing) {
  while (!value.empty()) {
    const std::size_t end = std::min(value.find(','), value.size());
    const std::string_view option = trim(value.substr(0, end));
    framing.close = framing.close || equal_names(option, "close");
    framing.keep = framing.keep || equal_names(option, "keep-alive");
    value.remove_prefix(std::min(end + 1, value.size()));
  }
}

void note_field(std::string_view name, std::string_view value, Framing& framing) {
  if (equal_names(name, "content-length")) {
    ++framing.lengths;
    framing.length = value;
  } else if (equal_names(name, "transfer-encoding")) {
    ++framing.codings;
    framing.coding = value;
  } else if (equal_names(name, "connection")) {
    note_connection(value, framing);
  }
}

Result<void> decide_framing(const Framing& framing, int minor, bool to_head, HttpAnswerHead& head) {
  if (framing.codings > 0 && framing.lengths > 0) {
    return bad("Content-Length and Transfer-Encoding exclude each other");
  }
  if (framing.codings > 1 || (framing.codings == 1 && !equal_names(framing.coding, "chunked"))) {
    return bad("the only Transfer-Encoding understood is one \"chunked\"");
  }
  if (framing.codings == 1 && minor == 0) return bad("Transfer-Encoding in HTTP/1.0");
  if (framing.lengths > 1) return bad("there are several Content-Length fields");
  if (framing.lengths == 1) {
    const char* const end = framing.length.data() + framing.length.size();
    const bool digits = !framing.length.empty() &&
                        std::all_of(framing.length.begin(), framing.length.end(), is_digit);
    const auto parsed = std::from_chars(framing.length.data(), end, head.content_length);
    if (!digits || parsed.ec != std::errc()) return bad("Content-Length is not a number of bytes");
  }
  head.keep_alive = !framing.close && (minor == 1 || framing.keep);
  if (to_head || head.interim() || head.status == 204 || head.status == 304) {
    head.framing = AnswerFraming::none;
  } else if (framing.codings == 1) {
    head.framing = AnswerFraming::chunked;
  } else if (framing.lengths == 1) {
    head.framing = head.content_length > 0 ? AnswerFraming::length : AnswerFraming::none;
  } else {
    head.framing = AnswerFraming::until_close;
    head.keep_alive = false;
  }
  return {};
}

}  // namespace

Result<HttpAnswerHead> parse_answer_head(std::string_view bytes, bool to_head) {
  HttpAnswerHead head;
  Framing framing;
  const std::size_t first = bytes.find("\r\n");
  const int minor =
      first == std::string_view::npos ? -1 : parse_status_line(bytes.substr(0, first), head);
  if (minor < 0) return bad("the answer does not begin with an HTTP/1.1 status line");
  if (head.status == 101) return bad("the server switches to a protocol that nobody asked for");
  bytes.remove_prefix(first + 2);
  while (true) {
    const std::size_t end = bytes.find("\r\n");
    if (end == std::string_view::npos) return bad("a line of the head does not end in CR LF");
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return bad("a header field has no colon, or its name is not a token");
    }
    const std::string_view value = trim(line.substr(colon + 1));
    if (!is_field_value(value)) return bad("a header field holds a control character");
    if (head.fields.size() == answer_fields_max) {
      return bad("more than " + std::to_string(answer_fields_max) + " header fields");
    }
    note_field(line.substr(0, colon), value, framing);
    head.fields.add(line.substr(0, colon), value);
  }
  const Result<void> framed = decide_framing(framing, minor, to_head, head);
  if (framed.has_error()) return framed.error();
  return head;
}

}  // namespace deepseek::io
