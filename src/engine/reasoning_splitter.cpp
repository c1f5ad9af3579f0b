#include "engine/reasoning_splitter.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

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
    const std::size_t end = held_.find(tags_.close);
    if (end == std::string::npos) {
      std::size_t kept = std::min(held_.size(), tags_.close.size() - 1);
      while (kept > 0 &&
             !tags_.close.starts_with(std::string_view(held_).substr(held_.size() - kept))) {
        --kept;
      }
      output.reasoning += held_.substr(0, held_.size() - kept);
      held_.erase(0, held_.size() - kept);
      return;
    }
    output.reasoning += held_.substr(0, end);
    held_.erase(0, end + tags_.close.size());
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
