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

// Header fields in the order received; names compare without case. All of them lie in one piece of
// memory, so that a request of many fields costs two allocations. What find() and the iterators
// give is valid until the next add(), and where the fields are moved to.
class HttpFields {
  struct Place {
    std::uint32_t begin;  // the value follows the name
    std::uint32_t name_size;
    std::uint32_t value_size;
  };

 public:
  using Field = std::pair<std::string_view, std::string_view>;  // name, value

  class Iterator {
   public:
    Iterator(const HttpFields& fields, std::size_t index) : fields_(&fields), index_(index) {}
    Field operator*() const { return (*fields_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const HttpFields* fields_;
    std::size_t index_;
  };

  void add(std::string_view name, std::string_view value);
  // The first field of that name, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  Field operator[](std::size_t index) const {
    const Place& place = places_[index];
    const std::string_view all(bytes_);
    return {all.substr(place.begin, place.name_size),
            all.substr(place.begin + place.name_size, place.value_size)};
  }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, places_.size()}; }
  std::size_t size() const { return places_.size(); }

 private:
  std::string bytes_;
  std::vector<Place> places_;
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
  bool grpc = false;         // a gRPC call: the path names its method, the body is its message
};

struct HttpResponse {
  int status = 200;
  HttpFields fields;  // without Content-Length, Connection, Date: the session writes those
  std::string body;
  // What `body` words, for transports that have a form of their own for it.
  std::optional<base::Error> error = {};
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
