// Small matchers of text that arrives byte by byte.
//
// Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::engine {

bool is_blank(char byte);
// Without blanks at both ends.
std::string_view trimmed(std::string_view text);

// Reads until one of some texts stands there.
class UntilText {
 public:
  UntilText() = default;
  explicit UntilText(std::vector<std::string_view> texts) : texts_(std::move(texts)) {}

  // Which of them was met, if one was. What is sure to stand in front of them is added to `out`.
  std::optional<std::size_t> push(char next, std::string& out);
  // What was held back: it may have become one of them.
  const std::string& held() const { return held_; }
  std::string take_held() { return std::exchange(held_, {}); }

 private:
  std::vector<std::string_view> texts_;
  std::string held_;
};

// One of some texts must come, after blanks.
class OneOf {
 public:
  OneOf() = default;
  explicit OneOf(std::vector<std::string_view> texts) : texts_(std::move(texts)) {}

  struct Answer {
    std::optional<std::size_t> met;
    std::size_t foreign = 0;  // so many bytes, `next` the last of them, are something else
  };
  Answer push(char next);

 private:
  std::vector<std::string_view> texts_;
  std::string seen_;
};

}  // namespace deepseek::engine
