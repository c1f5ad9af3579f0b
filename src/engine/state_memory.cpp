#include "engine/state_memory.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr std::int32_t kEntriesMax = 4096;

}  // namespace

StateMemory::StateMemory(std::uint64_t bytes_max, std::int32_t tokens_min)
    : bytes_max_(bytes_max), tokens_min_(tokens_min), tree_(kEntriesMax) {
  for (std::int32_t number = kEntriesMax; number > 0; --number) free_numbers_.push_back(number - 1);
}

StateMemory::Found StateMemory::find(const std::string& key, std::span<const Token> tokens) {
  if (tokens.empty() || entries_.empty()) return {};
  const KvTree::Match match = tree_.find(key, tokens.first(tokens.size() - 1));
  if (match.length < tokens_min_) return {};
  Entry& entry = entries_.at(match.slot);
  entry.used = ++uses_;
  return {entry.state, match.length, tree_.length(match.slot)};
}

bool StateMemory::wants(const std::string& key, std::span<const Token> tokens) const {
  const auto size = static_cast<std::int32_t>(tokens.size());
  if (bytes_max_ == 0 || size < tokens_min_ || tokens.size() >= tokens_limit_) return false;
  // Nearly all of it is as good as all of it.
  return tree_.find(key, tokens).length < size - tokens_min_ / 2;
}

void StateMemory::put(const std::string& key, std::span<const Token> tokens, State state) {
  const std::uint64_t bytes = state->size();
  if (bytes == 0) return;
  if (bytes > bytes_max_) {
    tokens_limit_ = std::min(tokens_limit_, tokens.size());
    return;
  }
  const KvTree::Match match = tree_.find(key, tokens);
  const bool covered = match.length > 0 && match.length == tree_.length(match.slot);
  if (covered && tokens.size() <= 2 * static_cast<std::size_t>(match.length)) forget(match.slot);
  while (bytes_ + bytes > bytes_max_ || free_numbers_.empty()) forget_oldest();
  const std::int32_t number = free_numbers_.back();
  free_numbers_.pop_back();
  tree_.open(number, key);
  tree_.extend(number, tokens);
  bytes_ += bytes;
  entries_[number] = {std::move(state), ++uses_};
}

void StateMemory::forget(std::int32_t number) {
  const auto entry = entries_.find(number);
  bytes_ -= entry->second.state->size();
  tree_.close(number);
  free_numbers_.push_back(number);
  entries_.erase(entry);
}

void StateMemory::clear() {
  while (!entries_.empty()) forget(entries_.begin()->first);
}

void StateMemory::forget_oldest() {
  forget(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
           return a.second.used < b.second.used;
         })->first);
}

}  // namespace deepseek::engine
