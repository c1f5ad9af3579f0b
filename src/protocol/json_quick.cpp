#include "protocol/json_quick.hpp"

#include "base/utf8.hpp"
#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <vector>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

// Objects of more keys are left to the careful half, which sorts them.
constexpr std::size_t compared_keys_max = 32;

class QuickParser {
 public:
  QuickParser(std::string_view text, const RequestLimits& limits)
      : scanner_(text), limits_(limits) {
    // One block for nearly all of the tree: the texts, and what stands around them.
    stack_.reset(json::make_shared_resource<json::monotonic_resource>(text.size() + 1024));
    frames_.reserve(8);
    keys_.reserve(16);
  }

  std::optional<json::value> parse() {
    do {
      if (!open_or_scalar() || !close()) return std::nullopt;
    } while (!frames_.empty());
    if (!scanner_.finished()) return std::nullopt;
    return stack_.release();
  }

 private:
  struct Frame {
    bool is_object;
    std::size_t count = 0;
    std::size_t first_key = 0;
  };

  bool open_or_scalar() {
    const char first = scanner_.peek();
    if (first == '{' || first == '[') {
      if (static_cast<std::int64_t>(frames_.size()) >= limits_.json_depth_max) return false;
      frames_.push_back({first == '{', 0, keys_.size()});
      return first == '{' ? scanner_.enter_object() : scanner_.enter_array();
    }
    if (first == '"') {
      JsonText text;
      return scanner_.string(text) && push_string(text);
    }
    return push_scalar(scanner_.value());
  }

  // Onto the next value, past all brackets that close here.
  bool close() {
    JsonText key;
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      const bool more = frame.is_object ? scanner_.next_key(key) : scanner_.next_entry();
      if (scanner_.failed()) return false;
      if (more) {
        ++frame.count;
        return !frame.is_object || push_key(frame, key);
      }
      if (frame.is_object) {
        stack_.push_object(frame.count);
        keys_.resize(frame.first_key);
      } else {
        stack_.push_array(frame.count);
      }
      frames_.pop_back();
    }
    return true;
  }

  bool push_key(const Frame& frame, const JsonText& key) {
    if (key.escaped || frame.count > compared_keys_max ||
        static_cast<std::int64_t>(frame.count) > limits_.json_keys_max) {
      return false;
    }
    const auto begin = keys_.begin() + static_cast<std::ptrdiff_t>(frame.first_key);
    if (std::find(begin, keys_.end(), key.raw) != keys_.end()) return false;
    keys_.push_back(key.raw);
    stack_.push_key(key.raw);
    return true;
  }

  bool push_string(const JsonText& text) {
    if (!text.escaped) {
      stack_.push_string(text.raw);
      return true;
    }
    scratch_.clear();
    text.append_to(scratch_);
    // NUL, and what half of a surrogate pair became: the careful half refuses them.
    if (text.raw.find("\\u") != std::string_view::npos &&
        (scratch_.find('\0') != std::string::npos ||
         scratch_.find("\xEF\xBF\xBD") != std::string::npos)) {
      return false;
    }
    stack_.push_string(scratch_);
    return true;
  }

  bool push_scalar(std::string_view text) {
    if (text.empty()) return false;
    if (text == "null") {
      stack_.push_null();
    } else if (text == "true" || text == "false") {
      stack_.push_bool(text == "true");
    } else {
      return push_number(text);
    }
    return true;
  }

  bool push_number(std::string_view text) {
    const char* end = text.data() + text.size();
    std::int64_t integer = 0;
    const auto read = std::from_chars(text.data(), end, integer);
    if (read.ec == std::errc() && read.ptr == end) {
      stack_.push_int64(integer);
      return true;
    }
    // Integers that do not fit and long exponents are rare: the careful half has them.
    if (text.find_first_of(".eE") == std::string_view::npos) return false;
    const std::size_t exponent = text.find_first_of("eE");
    if (exponent != std::string_view::npos && text.size() - exponent > 3) return false;
    double number = 0;
    const auto real = std::from_chars(text.data(), end, number);
    if (real.ec != std::errc() || real.ptr != end || !std::isfinite(number)) return false;
    stack_.push_double(number);
    return true;
  }

  JsonScanner scanner_;
  const RequestLimits& limits_;
  json::value_stack stack_;
  std::vector<Frame> frames_;
  std::vector<std::string_view> keys_;  // of the open objects
  std::string scratch_;
};

}  // namespace

std::optional<json::value> parse_json_quickly(std::string_view text, const RequestLimits& limits) {
  if (!base::is_valid_utf8(text)) return std::nullopt;
  return QuickParser(text, limits).parse();
}

}  // namespace deepseek::protocol
