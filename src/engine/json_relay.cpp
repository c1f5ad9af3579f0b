#include "engine/json_relay.hpp"

#include <array>
#include <cstdio>

namespace deepseek::engine {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr std::string_view kReplacement = "\\ufffd";

bool blank(char byte) {
  return kBlank.find(byte) != std::string_view::npos;
}
bool digit(char byte) {
  return byte >= '0' && byte <= '9';
}

// Where in a number its text stands; `bad` if it is none.
enum class Place { minus, zero, whole, point, fraction, exponent, sign, power, bad };

Place next_place(Place place, char byte) {
  switch (place) {
    case Place::minus:
      return byte == '0' ? Place::zero : digit(byte) ? Place::whole : Place::bad;
    case Place::zero:
    case Place::whole:
      if (byte == '.') return Place::point;
      if (byte == 'e' || byte == 'E') return Place::exponent;
      return place == Place::whole && digit(byte) ? Place::whole : Place::bad;
    case Place::point:
      return digit(byte) ? Place::fraction : Place::bad;
    case Place::fraction:
      if (byte == 'e' || byte == 'E') return Place::exponent;
      return digit(byte) ? Place::fraction : Place::bad;
    case Place::exponent:
      if (byte == '+' || byte == '-') return Place::sign;
      return digit(byte) ? Place::power : Place::bad;
    case Place::sign:
    case Place::power:
      return digit(byte) ? Place::power : Place::bad;
    case Place::bad:
      break;
  }
  return Place::bad;
}

bool is_number(std::string_view text) {
  Place place = Place::minus;
  if (text.starts_with('-')) text.remove_prefix(1);
  for (const char byte : text) {
    place = next_place(place, byte);
    if (place == Place::bad) return false;
  }
  return place == Place::zero || place == Place::whole || place == Place::fraction ||
         place == Place::power;
}

bool is_word(std::string_view text) {
  return text == "true" || text == "false" || text == "null";
}

std::string escape_of(char byte) {
  switch (byte) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(byte));
  return text.data();
}

bool is_control(char byte) {
  return static_cast<unsigned char>(byte) < 0x20;
}

}  // namespace

void JsonRelay::commit(std::string& out) {
  out += pending_;
  pending_.clear();
}

void JsonRelay::text(std::string_view bytes, std::string& out) {
  (in_key_ ? pending_ : out) += bytes;
}

JsonRelay::Status JsonRelay::push(char next, std::string& out) {
  switch (state_) {
    case State::string:
      return in_string_byte(next, out);
    case State::escape:
      return escaped(next, out);
    case State::hexadecimal:
      return hexadecimal(next, out);
    case State::pair:
    case State::pair_escape:
      return lone_half(next, out);
    case State::number:
      return number(next, out);
    case State::word:
      return word(next, out);
    case State::done:
      return Status::broken;
    default:
      break;
  }
  if (blank(next)) {
    if (!open_.empty()) pending_ += next;
    return Status::open;
  }
  if (state_ == State::comma_or_end) return comma_or_end(next, out);
  if (state_ == State::colon) {
    if (next != ':') return Status::broken;
    pending_ += next;
    state_ = State::value;
    return Status::open;
  }
  if (state_ == State::key || state_ == State::key_or_end) {
    if (next == '}' && state_ == State::key_or_end) return comma_or_end(next, out);
    if (next != '"') return Status::broken;
    pending_ += next;
    in_key_ = true;
    state_ = State::string;
    return Status::open;
  }
  if (next == ']' && state_ == State::value_or_end) return comma_or_end(next, out);
  return begin_value(next, out);
}

JsonRelay::Status JsonRelay::begin_value(char next, std::string& out) {
  if (next == '{' || next == '[') {
    if (open_.size() == kDepthMax) return Status::broken;
    commit(out);
    out += next;
    open_ += next;
    state_ = next == '{' ? State::key_or_end : State::value_or_end;
    return Status::open;
  }
  if (next == '"') {
    commit(out);
    out += next;
    state_ = State::string;
    return Status::open;
  }
  if (next == '-' || digit(next)) {
    state_ = State::number;
  } else if (next == 't' || next == 'f' || next == 'n') {
    state_ = State::word;
  } else {
    return Status::broken;
  }
  scalar_ = next;
  return Status::open;
}

JsonRelay::Status JsonRelay::end_value(std::string&) {
  state_ = open_.empty() ? State::done : State::comma_or_end;
  return open_.empty() ? Status::whole : Status::open;
}

JsonRelay::Status JsonRelay::comma_or_end(char next, std::string& out) {
  if (next == ',') {
    pending_ += next;
    state_ = keyed() ? State::key : State::value;
    return Status::open;
  }
  if (next != (keyed() ? '}' : ']')) return Status::broken;
  commit(out);
  out += next;
  open_.pop_back();
  return end_value(out);
}

JsonRelay::Status JsonRelay::in_string_byte(char next, std::string& out) {
  if (next == '\\') {
    escape_ = next;
    state_ = State::escape;
    return Status::open;
  }
  if (next != '"') {
    if (is_control(next)) {
      text(escape_of(next), out);
    } else {
      text({&next, 1}, out);
    }
    return Status::open;
  }
  text("\"", out);
  if (!in_key_) return end_value(out);
  in_key_ = false;
  state_ = State::colon;
  return Status::open;
}

JsonRelay::Status JsonRelay::escaped(char next, std::string& out) {
  if (next == 'u') {
    escape_ += next;
    state_ = State::hexadecimal;
    return Status::open;
  }
  if (std::string_view("\"\\/bfnrt").find(next) == std::string_view::npos) return Status::broken;
  escape_ += next;
  text(escape_, out);
  state_ = State::string;
  return Status::open;
}

JsonRelay::Status JsonRelay::hexadecimal(char next, std::string& out) {
  if (std::string_view("0123456789abcdefABCDEF").find(next) == std::string_view::npos) {
    return Status::broken;
  }
  escape_ += next;
  if (escape_.size() % 6 != 0) return Status::open;
  const std::uint32_t unit =
      static_cast<std::uint32_t>(std::stoul(escape_.substr(escape_.size() - 4), nullptr, 16));
  const bool low = unit >= 0xDC00 && unit < 0xE000;
  if (high_ != 0) {  // The first half of a pair stands in front.
    high_ = 0;
    const std::string second = escape_.substr(6);
    if (low) {
      text(escape_, out);
      state_ = State::string;
      return Status::open;
    }
    text(kReplacement, out);
    escape_ = second;
  }
  if (unit >= 0xD800 && unit < 0xDC00) {
    high_ = unit;
    state_ = State::pair;
    return Status::open;
  }
  text(low ? kReplacement : std::string_view(escape_), out);
  state_ = State::string;
  return Status::open;
}

// Behind the first half of a pair: another escape may bring the second.
JsonRelay::Status JsonRelay::lone_half(char next, std::string& out) {
  if (state_ == State::pair && next == '\\') {
    state_ = State::pair_escape;
    return Status::open;
  }
  if (state_ == State::pair_escape && next == 'u') {
    escape_ += "\\u";
    state_ = State::hexadecimal;
    return Status::open;
  }
  text(kReplacement, out);
  high_ = 0;
  if (state_ == State::pair_escape) {
    escape_ = "\\";
    return escaped(next, out);
  }
  state_ = State::string;
  return in_string_byte(next, out);
}

JsonRelay::Status JsonRelay::number(char next, std::string& out) {
  if (digit(next) || std::string_view("+-.eE").find(next) != std::string_view::npos) {
    scalar_ += next;
    return Status::open;
  }
  if (!is_number(scalar_)) return Status::broken;
  pending_ += scalar_;
  commit(out);
  if (end_value(out) == Status::whole) return Status::before;
  return push(next, out);
}

JsonRelay::Status JsonRelay::word(char next, std::string& out) {
  if (next >= 'a' && next <= 'z' && scalar_.size() < 5) {
    scalar_ += next;
    return Status::open;
  }
  if (!is_word(scalar_)) return Status::broken;
  pending_ += scalar_;
  commit(out);
  if (end_value(out) == Status::whole) return Status::before;
  return push(next, out);
}

std::string JsonRelay::close() const {
  std::string closing;
  const bool inside = state_ == State::string || state_ == State::escape ||
                      state_ == State::hexadecimal || state_ == State::pair ||
                      state_ == State::pair_escape;
  if (inside && !in_key_) closing += '"';
  for (std::size_t depth = open_.size(); depth > 0; --depth) {
    closing += open_[depth - 1] == '{' ? '}' : ']';
  }
  return closing;
}

std::string json_escaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      escaped += '\\';
      escaped += byte;
    } else if (is_control(byte)) {
      escaped += escape_of(byte);
    } else {
      escaped += byte;
    }
  }
  return escaped;
}

std::string json_string(std::string_view text) {
  return '"' + json_escaped(text) + '"';
}

}  // namespace deepseek::engine
