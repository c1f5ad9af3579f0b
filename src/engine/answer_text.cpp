#include "engine/answer_text.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

AnswerText::AnswerText(std::vector<std::string> stops, ReasoningSplitter splitter)
    : stops_(std::move(stops)), splitter_(std::move(splitter)) {}

AnswerText::Output AnswerText::push(std::string_view token_bytes) {
  Output output;
  StopMatcher::Output matched = stops_.push(utf8_.push(token_bytes));
  output.stopped = stopped_ = matched.stopped;
  split(std::move(matched.text), output);
  return output;
}

bool AnswerText::follow(std::string_view content) {
  const StopMatcher::Output matched = stops_.push(content);
  stopped_ = matched.stopped;
  followed_ = content.size() - matched.text.size();
  return stopped_;
}

AnswerText::Output AnswerText::finish() {
  Output output;
  if (!stopped_) {  // After a stop string, what is still held back stands behind it.
    StopMatcher::Output matched = stops_.push(utf8_.finish());
    if (!matched.stopped) matched.text += stops_.finish();
    split(std::move(matched.text), output);
  }
  ReasoningSplitter::Output rest = splitter_.finish();
  output.content += rest.content;
  output.reasoning += rest.reasoning;
  return output;
}

void AnswerText::split(std::string text, Output& output) {
  const std::size_t known = std::min(followed_, text.size());
  text.erase(0, known);
  followed_ -= known;
  ReasoningSplitter::Output parts = splitter_.push(text);
  output.content += parts.content;
  output.reasoning += parts.reasoning;
}

}  // namespace deepseek::engine
