// Splits an answer into what the model thought and what it says, by the template's tags.
//
// Pure; one object per sequence. Thinking may only stand at the beginning, as the models do it; a
// tag later on is text. Tags never come out; a piece that may be part of one is held back.
// join_answer() is the way back, for an answer that is continued.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

// Tags between which a model thinks; empty where its template knows none.
struct ReasoningTags {
  std::string open;
  std::string close;
  // Marks of calls, which end thinking too where the model forgets the tag; they stay text.
  std::vector<std::string> calls{};
};

// Where in an answer its next text stands.
enum class AnswerPlace {
  before,   // at its beginning: the model may open the tag
  inside,   // the tag is open
  content,  // thinking is over
};

class ReasoningSplitter {
 public:
  ReasoningSplitter() = default;  // everything is content
  ReasoningSplitter(ReasoningTags tags, AnswerPlace place);

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

  ReasoningTags tags_;
  State state_ = State::content;
  std::string held_;
};

// An answer as the model writes it, and where the rest of it goes on.
struct JoinedAnswer {
  std::string text;
  AnswerPlace place = AnswerPlace::before;
};
// Behind `prompt`, which may have opened the tag, or closed it at once where thinking is off.
// Reasoning without content goes on as reasoning. Where reasoning has no place it is left out.
JoinedAnswer join_answer(std::string_view prompt, const ReasoningTags& tags,
                         std::string_view reasoning, std::string_view content);

// True if `text` ends with the tag, but for blanks.
bool ends_with_tag(std::string_view text, std::string_view tag);

}  // namespace deepseek::engine
