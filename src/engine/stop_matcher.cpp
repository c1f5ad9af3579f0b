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
  if (stops_.empty()) return {std::string(piece)};
  held_ += piece;
  const std::string* first = nullptr;
  std::size_t first_begin = 0;
  std::size_t partial = 0;
  for (const std::string& stop : stops_) {
    partial = std::max(partial, partial_match(held_, stop));
    const std::size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    // By where they end, the text is the same however it was cut into pieces.
    const auto sooner = [&] {
      const std::size_t end = begin + stop.size();
      const std::size_t first_end = first_begin + first->size();
      return end < first_end || (end == first_end && begin < first_begin);
    };
    if (first != nullptr && !sooner()) continue;
    first = &stop;
    first_begin = begin;
  }
  if (first != nullptr) {
    held_.resize(first_begin);
    return {std::exchange(held_, {}), *first};
  }
  Output output{held_.substr(0, held_.size() - partial)};
  held_.erase(0, held_.size() - partial);
  return output;
}

std::string StopMatcher::finish() {
  return std::exchange(held_, {});
}

}  // namespace deepseek::engine
