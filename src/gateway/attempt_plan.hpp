// Decides what follows after each turn of one request: which backends may be asked, when, and when
// to give up. One answer or one error comes of it, whatever the backends do.
//
// Pure; one object per request. Time and randomness are arguments. The shell (answer_run) chooses
// among the candidates that are not excluded, runs the attempts and tells what became of them.
#pragma once

#include "base/clock.hpp"
#include "base/error.hpp"
#include "gateway/backend.hpp"
#include "gateway/resilience/retry_policy.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace deepseek::gateway {

struct PlanOptions {
  RetryOptions retry{};
  std::uint32_t continuations_max = 3;  // attempts that go on behind text that was sent
  base::Milliseconds wait_max{30'000};  // a longer pause is the client's: Retry-After tells it
};

// Which candidates of a route, as bits by index.
using CandidateSet = std::uint32_t;
constexpr CandidateSet candidate_bit(std::size_t candidate) {
  return CandidateSet{1} << candidate;
}
inline constexpr std::size_t candidates_max = 32;

class AttemptPlan {
 public:
  struct Step {
    enum class Kind {
      choose,   // among the candidates that are not in `excluded`
      wait,     // until `until`, then ask next() again
      give_up,  // `error` is the client's
    };
    Kind kind = Kind::choose;
    CandidateSet excluded = 0;
    bool again = false;  // a candidate may be chosen that has failed before: a retry
    base::TimePoint until{};
    std::optional<base::Error> error{};
  };

  AttemptPlan(const PlanOptions& options, std::size_t candidates, base::TimePoint end_by);

  // What to do now. Also after a wait.
  Step next(base::TimePoint now) const;

  // `candidate` was chosen and is being asked.
  void started(std::size_t candidate);
  // Nobody outside `excluded` can be asked. `back_at`: when the first of them may be usable again,
  // if that is known. `retries_allowed`: the retry budget has room.
  struct NoneUsable {
    std::optional<base::TimePoint> back_at{};
    bool retries_allowed = true;
    std::uint64_t random = 0;
    std::optional<base::Error> reason{};  // in words, for the client, if nothing was tried yet
  };
  void none_usable(const NoneUsable& why, base::TimePoint now);

  // The attempt ended with an error. `spoken`: text of it or of an earlier one has been sent;
  // `cannot_continue`: why another backend cannot go on behind that text; empty if it can. While
  // another attempt runs beside it, only the client's own mistake ends the request.
  struct Failed {
    std::size_t candidate = 0;
    AttemptFailure failure{};
    base::Error error{};
    bool spoken = false;  // the client has text, of this attempt or an earlier one
    bool said = false;    // some of it is this attempt's
    std::string_view cannot_continue{};
  };
  void failed(const Failed& failed, base::TimePoint now);

  // May a second attempt begin beside the one that runs? Once for a request, and not behind text.
  bool may_hedge() const;
  // It has begun; started() is still told.
  void hedged() { hedged_ = true; }
  // The other attempt was faster than this one, which has ended without a fault.
  void lost(std::size_t candidate);

  // The request waited for a busy backend in vain, or the line was full.
  void refused(base::Error error) { give_up(std::move(error)); }

  std::uint32_t attempts() const { return attempts_; }
  std::uint32_t continuations() const { return continuations_; }

 private:
  void give_up(base::Error error) { given_up_ = std::move(error); }
  bool may_ask_anyone() const { return (all_ & ~refused_) != 0; }
  base::TimePoint pause_end(const NoneUsable& why, base::TimePoint now) const;

  PlanOptions options_;
  CandidateSet all_;
  base::TimePoint end_by_;
  CandidateSet tried_ = 0;    // since the last pause
  CandidateSet refused_ = 0;  // never to be asked again for this request
  std::uint32_t attempts_ = 0;
  std::uint32_t running_ = 0;
  std::uint32_t pauses_ = 0;
  bool spoken_ = false;  // the client has text
  std::uint32_t continuations_ = 0;
  bool again_ = false;
  bool hedged_ = false;
  std::optional<base::TimePoint> wait_until_;
  std::optional<base::Error> given_up_;
  std::optional<base::Error> last_error_;
};

}  // namespace deepseek::gateway
