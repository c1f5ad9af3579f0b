// What one attempt was and cost, for the accounts; and who hears of it.
//
// A value. It holds no prompt, no answer and no key.
#pragma once

#include "base/clock.hpp"
#include "gateway/resilience/failure.hpp"
#include "protocol/event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::gateway {

enum class AttemptOutcome : std::uint8_t {
  answered,   // to its end
  continued,  // broke off after text was sent; another attempt went on
  failed,
  cancelled,   // the client left
  hedge_lost,  // another attempt was faster
  shadow,      // a copy, its answer ignored
};

std::string_view to_string(AttemptOutcome outcome);

// Where the numbers of `usage` come from.
enum class CountedBy : std::uint8_t { backend, us };

struct AttemptRecord {
  std::string_view request_id;
  std::string_view tenant;
  std::string_view model;  // as the client asked
  std::string_view backend;
  std::uint32_t number = 1;  // of this request
  AttemptOutcome outcome = AttemptOutcome::answered;
  std::optional<FailureKind> failure{};
  int status = 0;  // of an upstream that answered with an error
  protocol::Usage usage{};
  CountedBy counted_by = CountedBy::backend;
  base::TimePoint began{};
  std::optional<base::TimePoint> first_token{};
  base::TimePoint ended{};
  bool cached = false;  // no attempt at all: the response cache answered, and `backend` is empty
};

// Called on I/O threads, once per attempt; never blocks.
class AttemptObserver {
 public:
  virtual ~AttemptObserver() = default;
  virtual void on_attempt(const AttemptRecord& record) = 0;
};

}  // namespace deepseek::gateway
