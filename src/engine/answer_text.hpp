// One sequence's way from token bytes to events: whole UTF-8 characters, stop strings, reasoning.
//
// Pure; one object per sequence, on the loop's thread.
#pragma once

#include "base/utf8.hpp"
#include "engine/reasoning_splitter.hpp"
#include "engine/stop_matcher.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

class AnswerText {
 public:
  AnswerText() = default;
  AnswerText(std::vector<std::string> stops, ReasoningSplitter splitter);

  struct Output {
    std::string content;
    std::string reasoning;
    bool stopped = false;  // a stop string was met: the answer ends here

    bool empty() const { return content.empty() && reasoning.empty(); }
    void put_first(const Output& earlier) {  // text only
      content.insert(0, earlier.content);
      reasoning.insert(0, earlier.reasoning);
    }
  };
  Output push(std::string_view token_bytes);
  // The client has this content already, and its tokens are not known: nothing of it comes out, but
  // a stop string may have begun in it. True if a whole one stands in it: the answer ended there.
  // Before the first push().
  bool follow(std::string_view content);
  // The end of the answer, also after `stopped`: what was held back. Call it once.
  Output finish();
  bool reasoning() const { return splitter_.reasoning(); }

 private:
  void split(std::string text, Output& output);

  base::Utf8Assembler utf8_;
  StopMatcher stops_;
  ReasoningSplitter splitter_;
  std::size_t followed_ = 0;  // bytes that stops_ holds back and the client has
  bool stopped_ = false;
};

}  // namespace deepseek::engine
