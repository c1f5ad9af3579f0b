#include "engine/reasoning_splitter.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

// How many of the last bytes may be the beginning of `mark`.
std::size_t begun(std::string_view text, std::string_view mark) {
  std::size_t kept = std::min(text.size(), mark.empty() ? 0 : mark.size() - 1);
  while (kept > 0 && !mark.starts_with(text.substr(text.size() - kept))) --kept;
  return kept;
}

std::size_t kept_of(std::string_view text, const ReasoningTags& tags) {
  std::size_t kept = begun(text, tags.close);
  for (const std::string& mark : tags.calls) kept = std::max(kept, begun(text, mark));
  return kept;
}

}  // namespace

ReasoningSplitter::ReasoningSplitter(ReasoningTags tags, AnswerPlace place)
    : tags_(std::move(tags)) {
  if (tags_.close.empty()) return;
  if (place == AnswerPlace::inside) state_ = State::inside;
  if (place == AnswerPlace::before && !tags_.open.empty()) state_ = State::before;
}

ReasoningSplitter::Output ReasoningSplitter::push(std::string_view text) {
  Output output;
  held_ += text;
  advance(output);
  return output;
}

void ReasoningSplitter::advance(Output& output) {
  if (state_ == State::before) {
    const std::size_t start = std::min(held_.find_first_not_of(kBlank), held_.size());
    const std::string_view rest = std::string_view(held_).substr(start);
    if (rest.starts_with(tags_.open)) {
      held_.erase(0, start + tags_.open.size());
      state_ = State::inside;
    } else if (rest.size() < tags_.open.size() && tags_.open.starts_with(rest)) {
      return;
    } else {
      state_ = State::content;
    }
  }
  if (state_ == State::inside) {
    // What is met first ends it.
    std::size_t end = held_.find(tags_.close);
    std::size_t tag = tags_.close.size();
    for (const std::string& mark : tags_.calls) {
      const std::size_t at = held_.find(mark);
      if (at >= end) continue;
      end = at;
      tag = 0;
    }
    if (end == std::string::npos) {
      const std::size_t kept = kept_of(held_, tags_);
      output.reasoning += held_.substr(0, held_.size() - kept);
      held_.erase(0, held_.size() - kept);
      return;
    }
    output.reasoning += held_.substr(0, end);
    held_.erase(0, end + tag);
    state_ = State::after_tag;
  }
  if (state_ == State::after_tag) {  // The blank lines after the tag belong to neither.
    held_.erase(0, std::min(held_.find_first_not_of(kBlank), held_.size()));
    if (held_.empty()) return;
    state_ = State::content;
  }
  output.content += std::exchange(held_, {});
}

ReasoningSplitter::Output ReasoningSplitter::finish() {
  Output output;
  (state_ == State::inside ? output.reasoning : output.content) = std::exchange(held_, {});
  return output;
}

bool ends_with_tag(std::string_view text, std::string_view tag) {
  const std::size_t end = text.find_last_not_of(kBlank);
  return !tag.empty() && end != std::string_view::npos && text.substr(0, end + 1).ends_with(tag);
}

JoinedAnswer join_answer(std::string_view prompt, const ReasoningTags& tags,
                         std::string_view reasoning, std::string_view content) {
  const bool opened = ends_with_tag(prompt, tags.open);
  const bool may_think = !tags.open.empty() && !ends_with_tag(prompt, tags.close);
  const bool thinks = !tags.close.empty() && (opened || (may_think && !reasoning.empty()));
  JoinedAnswer joined;
  if (thinks) {
    if (!opened) joined.text = tags.open;
    if (!opened && kBlank.find(reasoning.front()) == std::string_view::npos) joined.text += '\n';
    joined.text += reasoning;
    joined.place = AnswerPlace::inside;
  }
  if (content.empty()) return joined;
  if (thinks) {
    if (!reasoning.empty() && !reasoning.ends_with('\n')) joined.text += '\n';
    joined.text += tags.close + "\n\n";
  }
  joined.text += content;
  joined.place = AnswerPlace::content;
  return joined;
}

}  // namespace deepseek::engine
