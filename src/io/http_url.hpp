// An http or https URL as a client needs it. Pure; values.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::io {

struct HttpUrl {
  bool secure = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string path;  // what follows; empty or begins with '/', without a '/' at the end

  std::string authority() const;  // for the Host field; the port only if it is not the usual one
};

// "http://host[:port][/path]" or https; no user, query or fragment. Error: invalid_request.
base::Result<HttpUrl> parse_url(std::string_view text);

}  // namespace deepseek::io
