#include "gateway/restart_timing.hpp"

#include <algorithm>

namespace deepseek::gateway {

using base::Milliseconds;

namespace {

constexpr Milliseconds moment{1'000};
constexpr Milliseconds given_up_pause{30'000};

}  // namespace

Milliseconds restart_pause(std::uint32_t deaths, Milliseconds min, Milliseconds max) {
  if (deaths <= 1) return Milliseconds(0);
  const std::uint32_t doublings = std::min(deaths - 2, 20u);
  return std::min(min * (1 << doublings), max);
}

Milliseconds retry_after_restart(std::optional<base::TimePoint> restart_at, bool given_up,
                                 base::TimePoint now) {
  if (restart_at && *restart_at > now) {
    return std::chrono::ceil<Milliseconds>(*restart_at - now) + moment;
  }
  return given_up ? given_up_pause : moment;
}

std::string in_seconds(Milliseconds time) {
  const auto tenths = (time.count() + 50) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace deepseek::gateway
