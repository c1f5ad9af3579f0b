#include "io/http_response_writer.hpp"

#include "io/http_head.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace deepseek::io {

namespace {

std::string_view reason_phrase(int status) {
  struct Row {
    int status;
    std::string_view phrase;
  };
  static constexpr Row rows[] = {
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {425, "Too Early"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {529, "Overloaded"},
  };
  const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                 [status](const Row& r) { return r.status == status; });
  return row != std::end(rows) ? row->phrase : "Status";
}

bool is_ours(std::string_view name) {
  for (std::string_view ours :
       {"content-length", "transfer-encoding", "connection", "date", "server"}) {
    if (equal_names(name, ours)) return true;
  }
  return false;
}

void append_number(std::uint64_t number, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end.ptr);
}

}  // namespace

base::Result<void> append_response_head(const HttpResponse& response,
                                        const ResponseHeadOptions& options, std::string& out) {
  if (response.status < 100 || response.status > 999) {
    return base::make_error(base::ErrorCode::internal,
                            "a response has the status " + std::to_string(response.status));
  }
  for (const auto& [name, value] : response.fields) {
    if (!is_token(name) || !is_field_value(value)) {
      return base::make_error(base::ErrorCode::internal,
                              "a response field has a name or value that HTTP does not allow");
    }
  }
  out.append("HTTP/1.1 ");
  append_number(static_cast<std::uint64_t>(response.status), out);
  out.append(" ").append(reason_phrase(response.status));
  out.append("\r\nDate: ").append(options.date).append("\r\nServer: deepseek-server\r\n");
  for (const auto& [name, value] : response.fields) {
    if (!is_ours(name)) out.append(name).append(": ").append(value).append("\r\n");
  }
  if (options.framing == ResponseFraming::length) {
    out.append("Content-Length: ");
    append_number(options.content_length, out);
    out.append("\r\n");
  } else if (options.framing == ResponseFraming::chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  if (options.close) {
    out.append("Connection: close\r\n");
  } else if (options.keep_alive_10) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  return {};
}

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string http_date(std::int64_t unix_seconds) {
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t time = unix_seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
                parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

ChunkHeader::ChunkHeader(std::size_t size) {
  const auto end = std::to_chars(bytes_.data(), bytes_.data() + 16, size, 16);
  end.ptr[0] = '\r';
  end.ptr[1] = '\n';
  size_ = static_cast<std::size_t>(end.ptr + 2 - bytes_.data());
}

}  // namespace deepseek::io
