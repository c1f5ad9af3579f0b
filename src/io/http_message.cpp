#include "io/http_message.hpp"

#include <algorithm>

namespace deepseek::io {

namespace {

constexpr std::size_t first_bytes = 512;
constexpr std::size_t first_fields = 12;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode_component(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
      continue;
    }
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

bool equal_names(std::string_view left, std::string_view right) {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(),
                    [](char a, char b) { return a == b || lower(a) == lower(b); });
}

void HttpFields::add(std::string_view name, std::string_view value) {
  if (places_.empty()) {
    // More than a string holds within itself: views stay valid when the fields are moved.
    bytes_.reserve(first_bytes);
    places_.reserve(first_fields);
  }
  places_.push_back({static_cast<std::uint32_t>(bytes_.size()),
                     static_cast<std::uint32_t>(name.size()),
                     static_cast<std::uint32_t>(value.size())});
  bytes_.append(name).append(value);
}

std::optional<std::string_view> HttpFields::find(std::string_view name) const {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].name_size != name.size()) continue;
    const auto [field_name, value] = (*this)[i];
    if (equal_names(field_name, name)) return value;
  }
  return std::nullopt;
}

std::size_t HttpFields::count(std::string_view name) const {
  std::size_t found = 0;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].name_size == name.size() && equal_names((*this)[i].first, name)) ++found;
  }
  return found;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    out.emplace_back(decode_component(pair.substr(0, equals)),
                     equals < pair.size() ? decode_component(pair.substr(equals + 1)) : "");
  }
  return out;
}

}  // namespace deepseek::io
