#include "engine/answer_text.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

AnswerText::AnswerText(std::vector<std::string> stops, ReasoningSplitter splitter,
                       std::unique_ptr<ToolParser> tools)
    : stops_(std::move(stops)), splitter_(std::move(splitter)), tools_(std::move(tools)) {}

AnswerText::Output AnswerText::push(std::string_view token_bytes) {
  Output output;
  thought_ = splitter_.reasoning();
  begun_.clear();
  push_whole(utf8_.push(token_bytes), output);
  return output;
}

void AnswerText::push_whole(std::string_view text, Output& output) {
  if (tools_ == nullptr) {
    std::string before;
    output.stopped = stopped_ = match(text, before);
    return split(std::move(before), output);
  }
  // Byte by byte: a call may begin or end anywhere in the text.
  for (std::size_t at = 0; at < text.size() && !stopped_; ++at) {
    const std::string_view next = text.substr(at, 1);
    if (tools_->in_call()) {
      split(stops_.finish() + std::string(next), output);
    } else {
      std::string before;
      stopped_ = match(next, before);
      split(std::move(before), output);
    }
    stopped_ = stopped_ || tools_->enough();
  }
  output.stopped = stopped_;
}

bool AnswerText::follow(std::string_view content) {
  std::string before;
  stopped_ = match(content, before);
  followed_ = content.size() - before.size();
  return stopped_;
}

// True if a stop string has come; `before` is what is certain to stand in front of any.
bool AnswerText::match(std::string_view text, std::string& before) {
  StopMatcher::Output matched = stops_.push(text);
  before = std::move(matched.text);
  stop_ = std::move(matched.stop);
  return !stop_.empty();
}

AnswerText::Output AnswerText::finish() {
  Output output;
  if (!stopped_) {  // After a stop string, what is still held back stands behind it.
    push_whole(utf8_.finish(), output);
    if (!stopped_) split(stops_.finish(), output);
  }
  ReasoningSplitter::Output rest = splitter_.finish();
  to_tools(std::move(rest.content), output);
  output.reasoning += rest.reasoning;
  if (tools_ == nullptr) return output;
  ToolParser::Output last{std::move(output.content), std::move(output.calls)};
  tools_->finish(last);
  output.content = std::move(last.content);
  output.calls = std::move(last.calls);
  return output;
}

void AnswerText::split(std::string text, Output& output) {
  const std::size_t known = std::min(followed_, text.size());
  text.erase(0, known);
  followed_ -= known;
  ReasoningSplitter::Output parts = splitter_.push(text);
  if (thought_) begun_ += parts.content;
  to_tools(std::move(parts.content), output);
  output.reasoning += parts.reasoning;
}

void AnswerText::to_tools(std::string content, Output& output) {
  if (content.empty()) return;
  if (tools_ == nullptr) {
    output.content += content;
    return;
  }
  ToolParser::Output parsed{std::move(output.content), std::move(output.calls)};
  tools_->push(content, parsed);
  output.content = std::move(parsed.content);
  output.calls = std::move(parsed.calls);
}

}  // namespace deepseek::engine
