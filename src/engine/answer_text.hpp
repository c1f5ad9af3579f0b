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
  };
  Output push(std::string_view token_bytes);
  // The end of the answer, also after `stopped`: what was held back. Call it once.
  Output finish();
  bool reasoning() const { return splitter_.reasoning(); }

 private:
  void split(const std::string& text, Output& output);

  base::Utf8Assembler utf8_;
  StopMatcher stops_;
  ReasoningSplitter splitter_;
  bool stopped_ = false;
};

}  // namespace deepseek::engine
