#include "engine/text_match.hpp"

#include <algorithm>

namespace deepseek::engine {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

}  // namespace

bool is_blank(char byte) {
  return kBlank.find(byte) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::optional<std::size_t> UntilText::push(char next, std::string& out) {
  held_ += next;
  while (!held_.empty()) {
    bool begins = false;
    for (std::size_t index = 0; index < texts_.size(); ++index) {
      if (!texts_[index].starts_with(held_)) continue;
      if (texts_[index].size() == held_.size()) {
        held_.clear();
        return index;
      }
      begins = true;
    }
    if (begins) return std::nullopt;
    out += held_.front();
    held_.erase(0, 1);
  }
  return std::nullopt;
}

OneOf::Answer OneOf::push(char next) {
  if (seen_.empty() && is_blank(next)) return {};
  seen_ += next;
  bool begins = false;
  for (std::size_t index = 0; index < texts_.size(); ++index) {
    if (!texts_[index].starts_with(seen_)) continue;
    if (texts_[index].size() == seen_.size()) {
      seen_.clear();
      return {index, 0};
    }
    begins = true;
  }
  if (begins) return {};
  const std::size_t size = seen_.size();
  seen_.clear();
  return {std::nullopt, size};
}

}  // namespace deepseek::engine
