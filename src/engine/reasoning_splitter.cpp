#include "engine/reasoning_splitter.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

}  // namespace

ReasoningSplitter::ReasoningSplitter(std::string open_tag, std::string close_tag, bool inside)
    : open_(std::move(open_tag)), close_(std::move(close_tag)) {
  if (!close_.empty()) state_ = inside ? State::inside : State::before;
  if (state_ == State::before && open_.empty()) state_ = State::content;
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
    if (rest.starts_with(open_)) {
      held_.erase(0, start + open_.size());
      state_ = State::inside;
    } else if (rest.size() < open_.size() && open_.starts_with(rest)) {
      return;
    } else {
      state_ = State::content;
    }
  }
  if (state_ == State::inside) {
    const std::size_t end = held_.find(close_);
    if (end == std::string::npos) {
      std::size_t kept = std::min(held_.size(), close_.size() - 1);
      while (kept > 0 && !close_.starts_with(std::string_view(held_).substr(held_.size() - kept))) {
        --kept;
      }
      output.reasoning += held_.substr(0, held_.size() - kept);
      held_.erase(0, held_.size() - kept);
      return;
    }
    output.reasoning += held_.substr(0, end);
    held_.erase(0, end + close_.size());
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

}  // namespace deepseek::engine
