// A backend that answered 429 is left alone for as long as it asked, or for a growing pause when it
// named none.
//
// Pure; one owner. The time is bounded, so that a strange header cannot switch a backend off.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <optional>

namespace deepseek::gateway {

struct CooldownOptions {
  base::Milliseconds unnamed_first{500};    // 429 without Retry-After
  base::Milliseconds unnamed_max{30'000};   // doubled so far for limits that follow each other
  base::Milliseconds named_max{3'600'000};  // Retry-After is taken for at most this
};

class Cooldown {
 public:
  explicit Cooldown(const CooldownOptions& options) : options_(options) {}

  // The backend said that it is limited. Reports that come while it cools down already belong to
  // the same limit and do not double the pause.
  void limited(base::TimePoint now, std::optional<base::Milliseconds> retry_after);
  // An answer began after the pause: the next unnamed pause is the shortest again.
  void succeeded(base::TimePoint now) {
    if (now >= until_) strikes_ = 0;
  }
  bool active(base::TimePoint now) const { return now < until_; }
  base::TimePoint until() const { return until_; }

 private:
  CooldownOptions options_;
  base::TimePoint until_{};
  std::uint32_t strikes_ = 0;
};

}  // namespace deepseek::gateway
