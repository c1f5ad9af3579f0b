// How long to wait before a retry.
//
// Pure: the number of the retry and a random number go in, a time comes out.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

struct RetryOptions {
  std::uint32_t retries_max = 5;       // after the first attempt, all backends together
  base::Milliseconds backoff_min{50};  // before the first retry
  double backoff_factor = 1.5;         // each further one
  base::Milliseconds backoff_max{30'000};
  double jitter = 0.2;  // ± share of the pause, so that clients spread out
};

// The pause before retry number `retry` (1 is the first). `random` is any 64 uniform bits.
std::chrono::microseconds backoff(const RetryOptions& options, std::uint32_t retry,
                                  std::uint64_t random);

// As above for a backend that named a time: never earlier than it asked for, and spread by
// `jitter` of the pause after that.
std::chrono::microseconds backoff(const RetryOptions& options, std::uint32_t retry,
                                  std::uint64_t random, base::Milliseconds retry_after);

// The longest time that parse_retry_after() returns; more is taken for this.
inline constexpr base::Milliseconds retry_after_max{24 * 3600 * 1000};

// Reads the header fields Retry-After (seconds, or a date in any of the three forms of RFC 9110)
// and retry-after-ms, which wins because it is finer; either may be empty. A date that has passed
// is 0. Nothing if neither can be read. `unix_seconds` is the wall clock's time.
std::optional<base::Milliseconds> parse_retry_after(std::string_view retry_after,
                                                    std::string_view retry_after_ms,
                                                    std::int64_t unix_seconds);

}  // namespace deepseek::gateway
