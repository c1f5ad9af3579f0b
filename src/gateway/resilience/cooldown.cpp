#include "gateway/resilience/cooldown.hpp"

#include <algorithm>

namespace deepseek::gateway {

void Cooldown::limited(base::TimePoint now, std::optional<base::Milliseconds> retry_after) {
  if (retry_after) {
    until_ =
        std::max(until_, now + std::clamp(*retry_after, base::Milliseconds(0), options_.named_max));
    return;
  }
  if (active(now)) return;
  constexpr std::uint32_t doublings_max = 20;
  const base::Milliseconds pause = options_.unnamed_first * (1 << strikes_);
  strikes_ = std::min(strikes_ + 1, doublings_max);
  until_ = now + std::min(pause, options_.unnamed_max);
}

}  // namespace deepseek::gateway
