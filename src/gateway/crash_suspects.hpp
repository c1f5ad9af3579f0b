// Remembers which requests ran when an engine died, so that one which kills it again and again is
// refused.
//
// Pure; its owner's thread alone touches it. It holds fingerprints, never prompts. A request that
// finishes is cleared: it was only there by chance. When full, the oldest is forgotten.
#pragma once

#include "base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

namespace deepseek::gateway {

class CrashSuspects {
 public:
  CrashSuspects(std::size_t entries_max, std::uint32_t deaths_max)
      : entries_max_(entries_max), deaths_max_(deaths_max) {}

  // The engine died while these ran. The same fingerprint twice in one death counts once.
  void engine_died(std::span<const std::uint64_t> running, base::TimePoint now);
  void finished(std::uint64_t fingerprint) { entries_.erase(fingerprint); }
  // True once it was there `deaths_max` times.
  bool refused(std::uint64_t fingerprint) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint32_t deaths = 0;
    base::TimePoint last{};
    std::uint64_t death = 0;  // the number of the death that counted last
  };
  void forget_oldest();

  std::size_t entries_max_;
  std::uint32_t deaths_max_;
  std::uint64_t death_ = 0;
  std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace deepseek::gateway
