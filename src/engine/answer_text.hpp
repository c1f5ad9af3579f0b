// One sequence's way from token bytes to events: whole UTF-8 characters, stop strings, reasoning,
// calls of tools. Stop strings are not looked for inside a call.
//
// Pure; one object per sequence, on the loop's thread.
#pragma once

#include "base/utf8.hpp"
#include "engine/reasoning_splitter.hpp"
#include "engine/stop_matcher.hpp"
#include "engine/tool_parser.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

class AnswerText {
 public:
  AnswerText() = default;
  // `tools` may be null: then no text is a call.
  AnswerText(std::vector<std::string> stops, ReasoningSplitter splitter,
             std::unique_ptr<ToolParser> tools = nullptr);

  struct Output {
    std::string content;
    std::string reasoning;
    bool stopped = false;  // a stop string was met, or the only call ended: the answer ends here
    std::vector<ToolCallPiece> calls{};

    bool empty() const { return content.empty() && reasoning.empty() && calls.empty(); }
    void put_first(Output earlier) {
      content.insert(0, earlier.content);
      reasoning.insert(0, earlier.reasoning);
      for (ToolCallPiece& piece : calls) add_piece(earlier.calls, std::move(piece));
      calls = std::move(earlier.calls);
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
  // What the push() that ended its thinking brought of the model's content, calls included.
  const std::string& begun() const { return begun_; }
  // There are calls, and the model wrote each to its end.
  bool called() const { return tools_ != nullptr && tools_->called(); }
  // The stop string that ended it; empty: none did.
  const std::string& stop() const { return stop_; }

 private:
  void split(std::string text, Output& output);
  bool match(std::string_view text, std::string& before);
  void push_whole(std::string_view text, Output& output);
  void to_tools(std::string content, Output& output);

  base::Utf8Assembler utf8_;
  StopMatcher stops_;
  ReasoningSplitter splitter_;
  std::unique_ptr<ToolParser> tools_;
  std::size_t followed_ = 0;  // bytes that stops_ holds back and the client has
  std::string begun_;
  bool thought_ = false;  // when the last push() began
  bool stopped_ = false;
  std::string stop_;
};

}  // namespace deepseek::engine
