// One HTTP request as a handler sees it, and one response as a handler gives it. Values; owned by
// the session's coroutine.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::io {

// Without regard to case, in ASCII only.
bool equal_names(std::string_view left, std::string_view right);

// Header fields in the order received; names compare without case.
class HttpFields {
 public:
  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  // The first field of that name, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct HttpRequest {
  std::string method;  // as "POST"
  std::string target;  // origin form as received, path and query
  std::string path;    // the target up to '?', not decoded: only exact paths are routed
  std::string query;   // after '?', not decoded
  HttpFields fields;
  std::string body;
  std::string peer_address;  // numeric
  bool secure = false;       // came over TLS
};

struct HttpResponse {
  int status = 200;
  HttpFields fields;  // without Content-Length, Connection, Date: the session writes those
  std::string body;
};

// What was wrong with the bytes of a connection before a handler could see a request.
struct HttpRefusal {
  base::Error error;
  std::string_view limit;  // the setting that was hit, as "http.head_max"; empty if none
  int status = 0;          // where HTTP has a status that the table of errors does not: 417, 505
};

// Decodes "a=b&c=d" (application/x-www-form-urlencoded, UTF-8). Bad escapes are kept as they are.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

}  // namespace deepseek::io
