// Writes one JSON object field by field, without a tree in between.
//
// Pure; private to this room. It appends to a string that outlives it; names are literals of ours,
// which need no escape.
#pragma once

#include "protocol/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::protocol {

class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

  // The name and the colon; the caller appends the value.
  std::string& name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  // What is unset or empty leaves no trace.
  void text(std::string_view field, std::string_view value) {
    if (!value.empty()) string(field, value);
  }
  void number(std::string_view field, std::optional<double> value) {
    if (value) append_json_number(name(field), *value);
  }
  void integer(std::string_view field, std::optional<std::int64_t> value) {
    if (value) append_json_integer(name(field), *value);
  }
  void flag(std::string_view field, bool value) {
    if (value) name(field) += "true";
  }
  // What is always there.
  void string(std::string_view field, std::string_view value) {
    append_json_string(name(field), value);
  }
  void boolean(std::string_view field, bool value) { name(field) += value ? "true" : "false"; }
  // `value` is JSON already.
  void json(std::string_view field, std::string_view value) { name(field) += value; }
  void close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class List, class Append>
void append_list(std::string& out, const List& list, const Append& append) {
  out += '[';
  bool first = true;
  for (const auto& entry : list) {
    if (!first) out += ',';
    first = false;
    append(entry);
  }
  out += ']';
}

}  // namespace deepseek::protocol
