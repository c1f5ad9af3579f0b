// Reads JSON text in place: no tree, no allocation. For texts of which little is needed, such as an
// upstream's frames, and for cutting a text that is known to be valid.
//
// Pure; one scanner per text, which must outlive it and every view it gives. The first mistake in
// the text makes the scanner fail, and all later calls return false or nothing. It does not look at
// UTF-8 and does not refuse duplicate keys: json.hpp does that for what clients send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// The inside of a string as the text has it, without quotes.
struct JsonText {
  std::string_view raw = {};
  bool escaped = false;

  bool is(std::string_view plain) const { return escaped ? text() == plain : raw == plain; }
  // What the string means; half of a surrogate pair becomes U+FFFD.
  void append_to(std::string& out) const;
  std::string text() const;
  bool empty() const { return raw.empty(); }
};

class JsonScanner {
 public:
  static constexpr int depth_max = 64;  // of what value() checks

  explicit JsonScanner(std::string_view text)
      : next_(text.data()), end_(text.data() + text.size()) {}

  bool failed() const { return failed_; }
  // Not failed, and nothing but white space is left.
  bool finished() {
    skip_white_space();
    return !failed_ && next_ == end_;
  }
  // The first byte of the next value, key or closing bracket; 0 at the end and after a failure.
  char peek() {
    skip_white_space();
    return next_ < end_ ? *next_ : '\0';
  }

  //   if (scanner.enter_object()) while (scanner.next_key(key)) { … read one value … }
  bool enter_object() { return enter('{'); }
  bool next_key(JsonText& key) { return next('}') && string(key) && (take(':') || fail()); }
  bool enter_array() { return enter('['); }
  bool next_entry() { return next(']'); }

  bool string(JsonText& out);
  // Passes over one value and returns its text. value() checks it; known_value() is quick and may
  // be used only on text that was checked before.
  std::string_view value();
  std::string_view known_value();

 private:
  static bool is_white_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  void skip_white_space() {
    while (next_ < end_ && is_white_space(*next_)) ++next_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++next_;
    return true;
  }
  bool enter(char bracket) {
    first_ = true;
    return take(bracket) || fail();
  }
  // Past the comma to the next entry; false at `bracket`, which is passed too.
  bool next(char bracket) {
    if (failed_) return false;
    const bool first = first_;
    first_ = false;
    if (take(bracket)) return false;
    return first || take(',') || fail();
  }
  bool fail() {
    failed_ = true;
    next_ = end_;
    return false;
  }
  bool skip_string(bool& escaped);
  bool skip_escape();
  bool skip_number();
  bool skip_digits();
  bool skip_literal(std::string_view literal);
  bool skip_scalar(char first);
  void skip_known_string();
  bool check();

  const char* next_;
  const char* end_;
  bool first_ = false;  // nothing of the innermost object or list has been read
  bool failed_ = false;
};

// The integer that the text of a value is; nothing if it is no number, has a fraction or does not
// fit.
std::optional<std::int64_t> json_integer(std::string_view value);

}  // namespace deepseek::protocol
