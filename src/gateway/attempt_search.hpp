// Finds the backend of a request's next attempt, and waits as long as that takes: for the end of a
// pause, or in the line for a busy one.
//
// Owned by one run and living on its thread. What may be asked is AttemptPlan's to decide and which
// of them RouteGroup's; this is the shell that waits.
#pragma once

#include "gateway/run_context.hpp"

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

class AttemptSearch {
 public:
  // `context` outlives it; its times count from its `arrived`.
  AttemptSearch(const RunContext& context, std::string_view model,
                boost::asio::any_io_executor executor);

  // The next one to ask, with a place taken there; plan() must still be told that it started. Those
  // in `mute` are passed over. Error: what the client shall hear.
  boost::asio::awaitable<base::Result<RouteGroup::Selected>> next(CandidateSet mute);
  // A pending next() or wait_until() returns.
  void cancel();
  bool cancelled() const { return cancelled_; }

  AttemptPlan& plan() { return plan_; }
  base::TimePoint end_by() const { return end_by_; }
  // Those that cannot serve the model at all.
  CandidateSet unable() const { return unable_; }
  // Who may not be asked now.
  CandidateSet excluded(CandidateSet mute) const;
  // When an attempt at `index` must have ended that shows no sign of life before its end: one
  // backend may not use up the time of those that could still be asked.
  base::TimePoint end_of_whole(std::size_t index, CandidateSet mute, base::TimePoint now) const;
  bool others_left(std::size_t index, CandidateSet mute) const;

  base::TimePoint now() const { return context_.clock ? context_.clock->now() : base::now(); }
  std::uint64_t random_bits() const;
  // Or until somebody cancels the alarm's timer.
  boost::asio::awaitable<void> wait_until(base::TimePoint time);
  const std::shared_ptr<RunAlarm>& alarm() const { return alarm_; }

 private:
  using Found = std::optional<RouteGroup::Selected>;
  enum class Outcome { found, nobody, busy };
  Outcome select(CandidateSet excluded, bool called, Found& found);
  boost::asio::awaitable<void> wait_in_line(CandidateSet excluded, Found& found);

  const RunContext& context_;
  const boost::asio::any_io_executor executor_;
  const base::TimePoint end_by_;
  const CandidateSet unable_;
  AttemptPlan plan_;
  std::optional<base::TimePoint> usable_at_;  // while in line: when a pause of a backend ends
  std::shared_ptr<RunAlarm> alarm_;
  bool cancelled_ = false;
};

// The request's failure as the plan and the backend's health shall see it.
AttemptFailure counted_failure(AttemptFailure failure, const Target& target, std::uint32_t number,
                               bool cancelled);

}  // namespace deepseek::gateway
