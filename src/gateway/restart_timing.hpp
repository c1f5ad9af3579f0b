// When a process that died is started again, and what is said of it meanwhile: the same for engines
// and for managed programs.
//
// Pure.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace deepseek::gateway {

// Before the restart that follows `deaths` in a row (≥ 1): none for the first, then `min`, doubled
// each time, up to `max`.
base::Milliseconds restart_pause(std::uint32_t deaths, base::Milliseconds min,
                                 base::Milliseconds max);

// When a refused client may come again: a moment after the restart, if its time is known.
base::Milliseconds retry_after_restart(std::optional<base::TimePoint> restart_at, bool given_up,
                                       base::TimePoint now);

// "0.5 s"
std::string in_seconds(base::Milliseconds time);

}  // namespace deepseek::gateway
