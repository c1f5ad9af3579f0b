#include "grammar/json_value.hpp"

#include "base/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_set>

namespace deepseek::grammar {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

class Parser {
 public:
  Parser(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<Json> parse() {
    Json value;
    if (!parse_value(value, 0)) return std::nullopt;
    skip_blank();
    if (at_ != text_.size()) return std::nullopt;
    return value;
  }
  std::size_t at() const { return at_; }
  bool too_deep() const { return too_deep_; }

 private:
  void skip_blank() { at_ = std::min(text_.find_first_not_of(kBlank, at_), text_.size()); }
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool is_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  bool take_digits() {
    const std::size_t begin = at_;
    while (is_digit()) ++at_;
    return at_ > begin;
  }

  bool parse_value(Json& value, std::size_t depth) {
    if (depth > depth_max_) {
      too_deep_ = true;
      return false;
    }
    skip_blank();
    if (at_ >= text_.size()) return false;
    switch (text_[at_]) {
      case '{':
        return parse_object(value, depth);
      case '[':
        return parse_array(value, depth);
      case '"':
        value.kind = Json::Kind::string;
        return parse_string(value.text);
      case 'n':
        return take_word("null");
      case 't':
      case 'f':
        value.kind = Json::Kind::boolean;
        value.truth = text_[at_] == 't';
        return take_word(value.truth ? "true" : "false");
      default:
        return parse_number(value);
    }
  }

  bool parse_object(Json& value, std::size_t depth) {
    value.kind = Json::Kind::object;
    ++at_;
    skip_blank();
    if (take('}')) return true;
    std::unordered_set<std::string> names;
    do {
      skip_blank();
      std::string name;
      if (!parse_string(name) || !names.insert(name).second) return false;
      skip_blank();
      if (!take(':')) return false;
      value.members.emplace_back(std::move(name), Json{});
      if (!parse_value(value.members.back().second, depth + 1)) return false;
      skip_blank();
    } while (take(','));
    return take('}');
  }

  bool parse_array(Json& value, std::size_t depth) {
    value.kind = Json::Kind::array;
    ++at_;
    skip_blank();
    if (take(']')) return true;
    do {
      value.items.emplace_back();
      if (!parse_value(value.items.back(), depth + 1)) return false;
      skip_blank();
    } while (take(','));
    return take(']');
  }

  bool parse_number(Json& value) {
    value.kind = Json::Kind::number;
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && !take_digits()) return false;
    if (take('.') && !take_digits()) return false;
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (!take('+')) take('-');
      if (!take_digits()) return false;
    }
    value.text = text_.substr(begin, at_ - begin);
    return true;
  }

  bool parse_string(std::string& out) {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const char byte = text_[at_];
      if (byte == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(byte) < 0x20) return false;
      ++at_;
      if (byte != '\\') {
        out += byte;
      } else if (!parse_escape(out)) {
        return false;
      }
    }
    return false;
  }

  bool parse_escape(std::string& out) {
    if (at_ >= text_.size()) return false;
    const char letter = text_[at_++];
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (const std::size_t place = kLetters.find(letter); place != std::string_view::npos) {
      out += kMeant[place];
      return true;
    }
    if (letter != 'u') return false;
    auto unit = parse_unit();
    if (!unit || (*unit >= 0xDC00 && *unit < 0xE000)) return false;
    if (*unit >= 0xD800 && *unit < 0xDC00) {
      if (!take('\\') || !take('u')) return false;
      const auto low = parse_unit();
      if (!low || *low < 0xDC00 || *low >= 0xE000) return false;
      *unit = 0x10000 + ((*unit - 0xD800) << 10U) + (*low - 0xDC00);
    }
    append_utf8(out, *unit);
    return true;
  }

  std::optional<char32_t> parse_unit() {
    if (at_ + 4 > text_.size()) return std::nullopt;
    char32_t unit = 0;
    for (int i = 0; i < 4; ++i) {
      const char digit = text_[at_++];
      const std::string_view digits = "0123456789abcdef";
      const char lower = digit >= 'A' && digit <= 'F' ? static_cast<char>(digit + 32) : digit;
      const std::size_t value = digits.find(lower);
      if (value == std::string_view::npos) return std::nullopt;
      unit = unit * 16 + static_cast<char32_t>(value);
    }
    return unit;
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t at_ = 0;
  bool too_deep_ = false;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

base::Result<Json> parse_json(std::string_view text, std::size_t depth_max,
                              const std::string& param) {
  Parser parser(text, depth_max);
  std::optional<Json> value;
  if (base::is_valid_utf8(text)) value = parser.parse();
  if (value) return std::move(*value);
  return base::make_error(
      base::ErrorCode::invalid_request,
      parser.too_deep()
          ? param + " is nested deeper than " + std::to_string(depth_max)
          : param + " is not valid JSON (at byte " + std::to_string(parser.at()) + ")",
      param);
}

void append_utf8(std::string& text, char32_t character) {
  const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  if (character < 0x80) {
    byte(character);
  } else if (character < 0x800) {
    byte(0xC0 | (character >> 6U));
    byte(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    byte(0xE0 | (character >> 12U));
    byte(0x80 | ((character >> 6U) & 0x3F));
    byte(0x80 | (character & 0x3F));
  } else {
    byte(0xF0 | (character >> 18U));
    byte(0x80 | ((character >> 12U) & 0x3F));
    byte(0x80 | ((character >> 6U) & 0x3F));
    byte(0x80 | (character & 0x3F));
  }
}

std::u32string to_characters(std::string_view text) {
  std::u32string characters;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    const int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    char32_t character = more == 0 ? first : first & (0x3FU >> static_cast<unsigned>(more));
    for (int k = 0; k < more && i < text.size(); ++k) {
      character = (character << 6U) | (static_cast<unsigned char>(text[i++]) & 0x3FU);
    }
    characters += character;
  }
  return characters;
}

}  // namespace deepseek::grammar
