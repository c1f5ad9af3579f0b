// Passes on a JSON value that arrives byte by byte, so that what came out can always be made whole.
//
// Only what is sure comes out: a key with the first byte of its value, a number when it has ended,
// an escape when it is complete. So whatever the text does next, close() makes what came out valid
// JSON. Line breaks and other control characters inside strings, which models write, come out
// escaped; half a surrogate pair comes out as U+FFFD. Pure; one object per value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::engine {

class JsonRelay {
 public:
  enum class Status {
    open,    // taken, and more must come
    whole,   // taken: the value ends with this byte
    before,  // not taken: the value, a number or a word, ended before this byte
    broken,  // not taken: this is not JSON
  };
  static constexpr std::size_t kDepthMax = 256;

  // Blanks in front of the value are skipped. After `whole`, `before` or `broken` nothing follows.
  Status push(char next, std::string& out);
  // What makes the text that came out whole; empty if nothing or all of it did.
  std::string close() const;
  bool in_string() const { return state_ == State::string; }

 private:
  enum class State {
    value,         // one must come
    value_or_end,  // behind [
    key_or_end,    // behind {
    key,           // behind a comma in an object
    colon,
    comma_or_end,
    string,
    escape,       // behind a backslash
    hexadecimal,  // behind \u
    pair,         // behind the first half of a surrogate pair a backslash must come
    pair_escape,  // and then a u
    number,
    word,
    done,
  };
  Status begin_value(char next, std::string& out);
  Status end_value(std::string& out);
  Status comma_or_end(char next, std::string& out);
  Status in_string_byte(char next, std::string& out);
  Status escaped(char next, std::string& out);
  Status hexadecimal(char next, std::string& out);
  Status lone_half(char next, std::string& out);
  Status number(char next, std::string& out);
  Status word(char next, std::string& out);
  void text(std::string_view bytes, std::string& out);
  void commit(std::string& out);
  bool keyed() const { return !open_.empty() && open_.back() == '{'; }

  State state_ = State::value;
  std::string open_;        // brackets that came out and are not closed
  std::string pending_;     // blanks, commas, keys, numbers: not sure yet
  std::string escape_;      // an escape that is not complete
  std::string scalar_;      // of a number or word
  std::uint32_t high_ = 0;  // first half of a surrogate pair
  bool in_key_ = false;
};

// The text as a JSON string, its quotes included.
std::string json_string(std::string_view text);
// The inside of it.
std::string json_escaped(std::string_view text);

}  // namespace deepseek::engine
