#include "engine/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

// Length of the longest end of `text` with which `stop` may begin.
std::size_t partial_match(std::string_view text, std::string_view stop) {
  for (std::size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

StopMatcher::Output StopMatcher::push(std::string_view piece) {
  if (stops_.empty()) return {std::string(piece), false};
  held_ += piece;
  std::size_t begin = std::string::npos;
  std::size_t partial = 0;
  for (const std::string& stop : stops_) {
    begin = std::min(begin, held_.find(stop));
    partial = std::max(partial, partial_match(held_, stop));
  }
  if (begin != std::string::npos) {
    held_.resize(begin);
    return {std::exchange(held_, {}), true};
  }
  Output output{held_.substr(0, held_.size() - partial), false};
  held_.erase(0, held_.size() - partial);
  return output;
}

std::string StopMatcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace deepseek::engine
