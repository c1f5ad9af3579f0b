#include "gateway/crash_suspects.hpp"

#include <algorithm>

namespace deepseek::gateway {

void CrashSuspects::engine_died(std::span<const std::uint64_t> running, base::TimePoint now) {
  if (entries_max_ == 0) return;
  ++death_;
  for (const std::uint64_t fingerprint : running) {
    if (!entries_.contains(fingerprint) && entries_.size() >= entries_max_) forget_oldest();
    Entry& entry = entries_[fingerprint];
    if (entry.death == death_) continue;
    entry.death = death_;
    entry.last = now;
    ++entry.deaths;
  }
}

bool CrashSuspects::refused(std::uint64_t fingerprint) const {
  const auto entry = entries_.find(fingerprint);
  return entry != entries_.end() && entry->second.deaths >= deaths_max_;
}

void CrashSuspects::forget_oldest() {
  // Linear, but only when full and an engine has just died.
  const auto oldest = std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& left, const auto& right) { return left.second.death < right.second.death; });
  if (oldest != entries_.end()) entries_.erase(oldest);
}

}  // namespace deepseek::gateway
