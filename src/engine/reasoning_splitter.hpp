// Splits an answer into what the model thought and what it says, by the template's tags.
//
// Pure; one object per sequence. Thinking may only stand at the beginning, as the models do it; a
// tag later on is text. Tags never come out; a piece that may be part of one is held back.
#pragma once

#include <string>
#include <string_view>

namespace deepseek::engine {

class ReasoningSplitter {
 public:
  ReasoningSplitter() = default;  // everything is content
  // `inside`: the prompt has opened the tag already.
  ReasoningSplitter(std::string open_tag, std::string close_tag, bool inside);

  struct Output {
    std::string reasoning;
    std::string content;
  };
  Output push(std::string_view text);
  Output finish();
  bool reasoning() const { return state_ == State::inside; }

 private:
  enum class State { before, inside, after_tag, content };
  void advance(Output& output);

  std::string open_;
  std::string close_;
  State state_ = State::content;
  std::string held_;
};

}  // namespace deepseek::engine
