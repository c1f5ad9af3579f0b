// Takes calls of tools out of the text that a model writes, as the text arrives.
//
// One object per sequence, on the loop's thread. What has come out is never taken back, and the
// arguments of each call, joined, are valid JSON at the end: where the model broke off or wrote
// something else, they are closed and the call counts as unfinished. Text that only looked like a
// call, or calls a tool that was not offered, comes out as content. How the text is cut into
// pieces makes no difference to what comes out in all.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

// A piece of a call. Id and name are in the first piece of each.
struct ToolCallPiece {
  int index = 0;
  std::string id;
  std::string name;
  std::string arguments;

  bool operator==(const ToolCallPiece&) const = default;
};

// Adds it behind others; pieces of one call that follow each other become one.
void add_piece(std::vector<ToolCallPiece>& pieces, ToolCallPiece piece);

class ToolParser {
 public:
  struct Output {
    std::string content;
    std::vector<ToolCallPiece> calls;
  };

  virtual ~ToolParser() = default;
  virtual void push(std::string_view text, Output& output) = 0;
  // The end of the text. Call it once.
  virtual void finish(Output& output) = 0;
  // The next byte belongs to a call, or to what may still be one.
  virtual bool in_call() const = 0;
  // There is a call, each was written to its end, and no more are wanted.
  virtual bool enough() const = 0;
  // There is a call, and each was written to its end.
  virtual bool called() const = 0;
};

}  // namespace deepseek::engine
