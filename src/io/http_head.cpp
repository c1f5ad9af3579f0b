#include "io/http_head.hpp"

#include "base/byte_scan.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace deepseek::io {

namespace {

using base::ErrorCode;

constexpr std::size_t method_size_max = 32;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_alnum(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[static_cast<std::size_t>(c)] = c < 128 && is_alnum(static_cast<char>(c));
  }
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr std::array<bool, 256> token_table = make_token_table();

bool is_token_char(char c) {
  return token_table[static_cast<unsigned char>(c)];
}

HttpRefusal bad(std::string message, int status = 0) {
  return {base::make_error(ErrorCode::invalid_request, std::move(message)), {}, status};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next line off `rest`, without its CRLF. A line that holds a CR or LF of its own, or
// does not end, is nothing.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\r');
  if (end >= rest.size() - 1 || rest[end + 1] != '\n') return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  if (line.find('\n') != std::string_view::npos) return std::nullopt;
  rest.remove_prefix(end + 2);
  return line;
}

std::optional<HttpRefusal> parse_version(std::string_view version, HttpHead& head) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") {
    head.minor_version = version.back() - '0';
    return std::nullopt;
  }
  const bool is_version = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                          is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (is_version) return bad("only HTTP/1.1 and HTTP/1.0 are spoken here", 505);
  return bad("the request line does not end in HTTP/1.1");
}

// The path is ASCII, since it is matched byte by byte. People type a query as it is, so UTF-8 is
// taken there.
std::optional<HttpRefusal> parse_target(std::string_view target, HttpHead& head) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  for (std::size_t at = 0; at < target.size(); ++at) {
    const auto byte = static_cast<unsigned char>(target[at]);
    if (byte <= 0x20 || byte == 0x7f || (byte > 0x7f && at < mark)) {
      return bad("the request target holds a byte that must be percent-encoded");
    }
    if (byte == '#') return bad("the request target holds a fragment ('#')");
  }
  if (!base::is_valid_utf8(target.substr(mark))) {
    return bad("the query of the request target is not UTF-8; percent-encode its bytes");
  }
  HttpRequest& request = head.request;
  if (target.front() != '/' && !(target == "*" && request.method == "OPTIONS")) {
    return bad("the request target must be a path that starts with '/'");
  }
  request.target = target;
  request.path = target.substr(0, mark);
  if (mark < target.size()) request.query = target.substr(mark + 1);
  return std::nullopt;
}

std::optional<HttpRefusal> parse_request_line(std::string_view line, HttpHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return bad("the request line must be: method, space, target, space, HTTP/1.1");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || method.size() > method_size_max) return bad("the method is not a token");
  head.request.method = method;
  // Version first: the preface of HTTP/2 is a version that is not spoken, not a bad target.
  auto refusal = parse_version(line.substr(last + 1), head);
  if (refusal) return refusal;
  if (target.empty()) return bad("the request target is empty");
  return parse_target(target, head);
}

std::optional<HttpRefusal> parse_field(std::string_view line, HttpHead& head) {
  if (line.front() == ' ' || line.front() == '\t') {
    return bad("a header field is folded over two lines");
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return bad("a header field has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return bad("the name of a header field is empty or not a token");
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) {
    return bad("the header field " + std::string(name) + " holds a control character");
  }
  head.request.fields.add(name, value);
  return std::nullopt;
}

bool is_port(std::string_view text) {
  std::uint32_t port = 0;
  if (text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  std::from_chars(text.data(), text.data() + text.size(), port);
  return port <= 65535;
}

// A name, an IPv4 address, or an IPv6 address in brackets; then perhaps a port.
bool is_host(std::string_view host) {
  std::size_t end = 0;
  if (!host.empty() && host.front() == '[') {
    end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (char c : host.substr(1, end - 1)) {
      if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F') && c != ':' &&
          c != '.') {
        return false;
      }
    }
    ++end;
  } else {
    end = std::min(host.find(':'), host.size());
    if (end == 0) return false;
    for (char c : host.substr(0, end)) {
      if (!is_alnum(c) && c != '-' && c != '.' && c != '_' && c != '~') return false;
    }
  }
  return end == host.size() || (host[end] == ':' && is_port(host.substr(end + 1)));
}

std::optional<HttpRefusal> check_host(const HttpHead& head) {
  const HttpFields& fields = head.request.fields;
  const std::size_t count = fields.count("host");
  if (count > 1) return bad("there are several Host fields");
  if (count == 0 && head.minor_version == 1) return bad("the Host field is missing");
  if (count == 1 && !is_host(*fields.find("host"))) return bad("the Host field is not a host");
  return std::nullopt;
}

std::optional<HttpRefusal> check_framing(HttpHead& head) {
  const HttpFields& fields = head.request.fields;
  const std::size_t codings = fields.count("transfer-encoding");
  const std::size_t lengths = fields.count("content-length");
  if (codings > 0) {
    if (head.minor_version == 0) return bad("Transfer-Encoding is not allowed in HTTP/1.0");
    if (lengths > 0) return bad("Content-Length and Transfer-Encoding exclude each other");
    if (codings > 1 || *fields.find("transfer-encoding") != "chunked") {
      return bad("the only Transfer-Encoding allowed is one \"chunked\"");
    }
    head.framing = BodyFraming::chunked;
    return std::nullopt;
  }
  if (lengths == 0) return std::nullopt;
  if (lengths > 1) return bad("there are several Content-Length fields");
  const std::string_view text = *fields.find("content-length");
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), head.content_length);
  if (!digits || parsed.ec != std::errc()) return bad("Content-Length is not a number of bytes");
  head.framing = head.content_length > 0 ? BodyFraming::length : BodyFraming::none;
  return std::nullopt;
}

std::optional<HttpRefusal> check_expect(HttpHead& head) {
  const HttpFields& fields = head.request.fields;
  const std::size_t count = fields.count("expect");
  if (count == 0) return std::nullopt;
  if (count > 1 || !equal_names(*fields.find("expect"), "100-continue")) {
    return bad("the only expectation that is met here is 100-continue", 417);
  }
  head.expect_continue = head.minor_version == 1 && head.framing != BodyFraming::none;
  return std::nullopt;
}

void read_connection(HttpHead& head) {
  bool close = false;
  bool keep = false;
  for (const auto& [name, value] : head.request.fields) {
    if (!equal_names(name, "connection")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      const std::string_view option = trim(rest.substr(0, end));
      close = close || equal_names(option, "close");
      keep = keep || equal_names(option, "keep-alive");
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  head.keep_alive = !close && (head.minor_version == 1 || keep);
}

}  // namespace

bool is_token(std::string_view text) {
  bool token = !text.empty();
  for (const char c : text) token = token && is_token_char(c);
  return token;
}

bool is_field_value(std::string_view text) {
  std::size_t at = base::find_control(text);
  while (at < text.size() && text[at] == '\t') at = base::find_control(text, at + 1);
  return at == text.size();
}

HeadResult parse_head(std::string_view bytes, std::size_t fields_max) {
  HttpHead head;
  std::string_view rest = bytes;
  auto line = take_line(rest);
  if (!line) return bad("a line of the request head does not end in CR LF");
  auto refusal = parse_request_line(*line, head);
  if (refusal) return *std::move(refusal);
  while (true) {
    line = take_line(rest);
    if (!line) return bad("a line of the request head does not end in CR LF");
    if (line->empty()) break;
    if (head.request.fields.size() == fields_max) {
      return HttpRefusal{
          base::make_error(ErrorCode::header_too_large,
                           "more than " + std::to_string(fields_max) + " header fields were sent"),
          "fields_max", 0};
    }
    refusal = parse_field(*line, head);
    if (refusal) return *std::move(refusal);
  }
  if (!rest.empty()) return bad("bytes follow the end of the request head");
  using Check = std::optional<HttpRefusal> (*)(HttpHead&);
  const Check host = [](HttpHead& checked) { return check_host(checked); };
  for (const Check check : {host, Check(check_framing), Check(check_expect)}) {
    refusal = check(head);
    if (refusal) return *std::move(refusal);
  }
  read_connection(head);
  return head;
}

HeadScanner::Status HeadScanner::scan(std::string_view bytes) {
  if (position_ == 0 && !bytes.empty() && bytes[0] != '\r' && !is_token_char(bytes[0])) {
    return Status::invalid;
  }
  while (position_ < bytes.size()) {
    if (after_cr_) {
      if (bytes[position_++] != '\n') return Status::invalid;
      after_cr_ = false;
      if (line_empty_) return Status::complete;
      line_empty_ = true;
      continue;
    }
    const std::size_t stop = base::find_control(bytes, position_);
    line_empty_ = line_empty_ && stop == position_;
    position_ = stop;
    if (stop == bytes.size()) break;
    if (bytes[stop] != '\r' && bytes[stop] != '\t') return Status::invalid;
    after_cr_ = bytes[stop] == '\r';
    line_empty_ = line_empty_ && after_cr_;
    ++position_;
  }
  return Status::incomplete;
}

}  // namespace deepseek::io
