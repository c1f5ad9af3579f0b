#include "io/http_url.hpp"

#include <charconv>

namespace deepseek::io {

using base::ErrorCode;
using base::make_error;
using base::Result;

namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string HttpUrl::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + host + "]" : host;
  if (port != (secure ? 443 : 80)) text += ":" + std::to_string(port);
  return text;
}

Result<HttpUrl> parse_url(std::string_view text) {
  const auto bad = [text](std::string_view why) {
    return make_error(ErrorCode::invalid_request,
                      "\"" + std::string(text.substr(0, 80)) + "\" is no URL that can be used: " +
                          std::string(why) + "; allowed is http://host:port or https://host");
  };
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.secure = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("it does not begin with http:// or https://");
  }
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return bad("it holds a blank");
    if (c == '@' || c == '?' || c == '#')
      return bad("user, query and fragment have no place in it");
  }
  const auto slash = rest.find('/');
  url.path = slash == std::string_view::npos ? "" : std::string(rest.substr(slash));
  while (url.path.ends_with('/')) url.path.pop_back();
  std::string_view authority = rest.substr(0, slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return bad("a bracket is open");
    url.host = std::string(authority.substr(1, close - 1));
    port = authority.substr(close + 1);
  } else {
    const auto colon = authority.find(':');
    url.host = std::string(authority.substr(0, colon));
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (url.host.empty()) return bad("the host is missing");
  url.port = url.secure ? 443 : 80;
  if (port.empty()) return url;
  std::uint32_t number = 0;
  const auto* const last = port.data() + port.size();
  const bool digits = port.starts_with(':') && is_digits(port.substr(1));
  if (!digits || std::from_chars(port.data() + 1, last, number).ec != std::errc{} || number == 0 ||
      number > 65'535) {
    return bad("the port is not a number from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(number);
  return url;
}

}  // namespace deepseek::io
