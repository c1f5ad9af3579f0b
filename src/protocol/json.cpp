#include "protocol/json.hpp"

#include "base/utf8.hpp"
#include "protocol/json_quick.hpp"
#include "protocol/quote.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <optional>
#include <vector>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

struct Failure {
  std::string message;
  std::size_t offset = 0;
};

enum class Last { start, array_begin, object_begin, key, value };

// Builds the value and keeps what the parser's own error code does not tell: where we are, and the
// keys of the open objects.
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  Handler(std::string_view text, std::int64_t keys_max) : text_(text), keys_max_(keys_max) {}

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    frames_.push_back({true, keys_.size(), key_bytes_.size()});
    last_ = Last::object_begin;
    return true;
  }
  bool on_object_end(std::size_t size, json::error_code& ec) {
    if (!check_keys(ec)) return false;
    frames_.pop_back();
    stack_.push_object(size);
    return value();
  }
  bool on_array_begin(json::error_code&) {
    frames_.push_back({false, 0, 0});
    last_ = Last::array_begin;
    return true;
  }
  bool on_array_end(std::size_t size, json::error_code&) {
    frames_.pop_back();
    stack_.push_array(size);
    return value();
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code& ec) {
    if (!check_nul(part, ec)) return false;
    stack_.push_chars(part);
    key_bytes_.append(part.data(), part.size());
    key_part_bytes_ += part.size();
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& ec) {
    if (!check_nul(part, ec)) return false;
    stack_.push_key(part);
    const std::size_t begin = key_bytes_.size() - key_part_bytes_;
    key_bytes_.append(part.data(), part.size());
    keys_.push_back({begin, part.size() + key_part_bytes_, offset_});
    key_part_bytes_ = 0;
    if (static_cast<std::int64_t>(keys_.size() - frames_.back().first_key) > keys_max_) {
      return refuse(
          "an object has more than " + std::to_string(keys_max_) + " keys (limits.json_keys_max)",
          offset_, ec);
    }
    last_ = Last::key;
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code& ec) {
    if (!check_nul(part, ec)) return false;
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code& ec) {
    if (!check_nul(part, ec)) return false;
    stack_.push_string(part);
    return value();
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    locate(part);
    return true;
  }
  bool on_int64(std::int64_t number, json::string_view part, json::error_code&) {
    locate(part);
    stack_.push_int64(number);
    return value();
  }
  bool on_uint64(std::uint64_t number, json::string_view part, json::error_code&) {
    locate(part);
    stack_.push_uint64(number);
    return value();
  }
  bool on_double(double number, json::string_view part, json::error_code& ec) {
    locate(part);
    if (!std::isfinite(number)) return refuse("a number is too large for a double", offset_, ec);
    stack_.push_double(number);
    return value();
  }
  bool on_bool(bool flag, json::error_code&) {
    stack_.push_bool(flag);
    return value();
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return value();
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

  json::value release() { return stack_.release(); }
  const std::optional<Failure>& failure() const { return failure_; }
  Last last() const { return last_; }
  bool in_object() const { return !frames_.empty() && frames_.back().is_object; }
  bool at_top() const { return frames_.empty(); }
  void reset() { stack_.reset(); }

 private:
  struct Frame {
    bool is_object;
    std::size_t first_key;
    std::size_t first_key_byte;
  };
  struct Key {
    std::size_t begin;  // in key_bytes_
    std::size_t size;
    std::size_t offset;  // in the text
  };

  bool value() {
    last_ = Last::value;
    return true;
  }

  bool refuse(std::string message, std::size_t offset, json::error_code& ec) {
    failure_ = Failure{std::move(message), offset};
    ec = json::make_error_code(json::error::syntax);
    return false;
  }

  // The parser hands out parts of the text where it can; escapes come from a buffer of its own.
  void locate(json::string_view part) {
    const std::less_equal<const char*> at_most;
    if (at_most(text_.data(), part.data()) &&
        at_most(part.data() + part.size(), text_.data() + text_.size())) {
      offset_ = static_cast<std::size_t>(part.data() - text_.data());
    }
  }

  bool check_nul(json::string_view part, json::error_code& ec) {
    locate(part);
    if (part.find('\0') == json::string_view::npos) return true;
    return refuse("a string holds the character NUL, which is not accepted", offset_, ec);
  }

  std::string_view bytes_of(const Key& key) const {
    return std::string_view(key_bytes_).substr(key.begin, key.size);
  }

  // Sorts the keys of the object that ends, so that equal ones are neighbours.
  bool check_keys(json::error_code& ec) {
    const Frame& frame = frames_.back();
    const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(frame.first_key);
    std::sort(begin, keys_.end(), [&](const Key& a, const Key& b) {
      const int order = bytes_of(a).compare(bytes_of(b));
      return order != 0 ? order < 0 : a.offset < b.offset;
    });
    const auto twin = std::adjacent_find(
        begin, keys_.end(), [&](const Key& a, const Key& b) { return bytes_of(a) == bytes_of(b); });
    if (twin != keys_.end()) {
      return refuse("the key " + quote_value(bytes_of(*twin)) + " is given twice in one object",
                    (twin + 1)->offset, ec);
    }
    keys_.resize(frame.first_key);
    key_bytes_.resize(frame.first_key_byte);
    return true;
  }

  std::string_view text_;
  std::int64_t keys_max_;
  json::value_stack stack_;
  std::vector<Frame> frames_;
  std::vector<Key> keys_;
  std::string key_bytes_;
  std::size_t key_part_bytes_ = 0;
  std::size_t offset_ = 0;
  Last last_ = Last::start;
  std::optional<Failure> failure_;
};

bool inside_string(std::string_view text, std::size_t offset) {
  bool inside = false;
  for (std::size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (inside && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      inside = !inside;
    }
  }
  return inside;
}

char previous_character(std::string_view text, std::size_t offset) {
  while (offset > 0) {
    const char c = text[--offset];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return c;
  }
  return '\0';
}

std::string_view expectation(const Handler& handler, char previous) {
  switch (handler.last()) {
    case Last::start:
      return "a value";
    case Last::object_begin:
      return "a key in double quotes or '}'";
    case Last::array_begin:
      return "a value or ']'";
    case Last::key:
      return previous == '"' ? "':' after the key" : "a value";
    case Last::value:
      break;
  }
  if (handler.at_top()) return "the end of the text";
  if (handler.in_object()) return previous == ',' ? "a key in double quotes" : "',' or '}'";
  return previous == ',' ? "a value" : "',' or ']'";
}

// Where the first byte is that no valid character begins with.
std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t offset = 0;
  while (offset < text.size()) {
    const auto lead = static_cast<unsigned char>(text[offset]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead >= 0x80 && !base::is_valid_utf8(text.substr(offset, size))) break;
    offset += size;
  }
  return offset;
}

std::string found_at(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) return "found the end";
  const auto byte = static_cast<unsigned char>(text[offset]);
  if (byte < 0x20 || byte == 0x7F) return "found the control character " + std::to_string(byte);
  std::size_t size = 1;
  while (offset + size < text.size() &&
         (static_cast<unsigned char>(text[offset + size]) & 0xC0) == 0x80) {
    ++size;
  }
  return "found '" + std::string(text.substr(offset, size)) + "'";
}

// True when the text before `offset` ends with the first half of a surrogate pair.
bool after_half_pair(std::string_view text, std::size_t offset) {
  if (offset < 6) return false;
  const std::string_view escape = text.substr(offset - 6, 6);
  return escape.starts_with("\\ud") || escape.starts_with("\\uD");
}

Failure explain_syntax(std::string_view text, std::size_t offset, const Handler& handler) {
  if (!base::is_valid_utf8(text)) {
    const std::size_t invalid = first_invalid_utf8(text);
    if (invalid <= offset + 4) return {"the bytes here are not valid UTF-8", invalid};
  }
  if (inside_string(text, offset)) {
    if (offset >= text.size())
      return {"a string is not closed: expected '\"', found the end", offset};
    if (static_cast<unsigned char>(text[offset]) < 0x20) {
      return {"a control character inside a string must be escaped, as \\n", offset};
    }
    if (after_half_pair(text, offset)) {
      return {"a \\u escape is half of a surrogate pair", offset};
    }
    return {"bad escape inside a string, " + found_at(text, offset), offset};
  }
  const std::string expected(expectation(handler, previous_character(text, offset)));
  return {"expected " + expected + ", " + found_at(text, offset), offset};
}

Failure explain(json::error_code ec, std::string_view text, std::size_t offset,
                const Handler& handler, const RequestLimits& limits) {
  if (handler.failure()) return *handler.failure();
  if (ec == json::error::too_deep) {
    return {"nested deeper than " + std::to_string(limits.json_depth_max) +
                " levels (limits.json_depth_max)",
            offset};
  }
  if (ec == json::error::extra_data) return {"expected the end, " + found_at(text, offset), offset};
  if (ec == json::error::exponent_overflow) return {"a number's exponent is too large", offset};
  if (ec == json::error::illegal_leading_surrogate ||
      ec == json::error::illegal_trailing_surrogate || ec == json::error::expected_utf16_escape) {
    return {"a \\u escape is half of a surrogate pair", offset};
  }
  if (ec == json::error::expected_hex_digit) {
    return {"expected four hex digits after \\u, " + found_at(text, offset), offset};
  }
  return explain_syntax(text, offset, handler);
}

base::Error bad_json(std::string_view text, const Failure& failure) {
  const std::size_t offset = std::min(failure.offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto column =
      1 + std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_begin), before.end(),
                        [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return base::make_error(base::ErrorCode::invalid_request,
                          "bad JSON at line " + std::to_string(line) + ", column " +
                              std::to_string(column) + " (byte " + std::to_string(offset) +
                              "): " + failure.message);
}

}  // namespace

base::Result<json::value> parse_json(std::string_view text, const RequestLimits& limits) {
  if (auto value = parse_json_quickly(text, limits)) return std::move(*value);
  return parse_json_carefully(text, limits);
}

base::Result<json::value> parse_json_carefully(std::string_view text, const RequestLimits& limits) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "the body is empty; a JSON value is expected");
  }
  json::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.json_depth_max);
  json::basic_parser<Handler> parser(options, text, limits.json_keys_max);
  Handler& handler = parser.handler();
  handler.reset();
  json::error_code ec;
  const std::size_t consumed = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && consumed < text.size()) ec = json::make_error_code(json::error::extra_data);
  if (ec) return bad_json(text, explain(ec, text, consumed, handler, limits));
  return handler.release();
}

base::Result<json::object> parse_json_object(std::string_view text, const RequestLimits& limits) {
  auto value = parse_json(text, limits);
  if (!value) return value.error();
  if (!value->is_object()) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "the body must be a JSON object, as {\"model\": …}");
  }
  return std::move(value->get_object());
}

}  // namespace deepseek::protocol
