// The answer to one request, whatever it takes: attempts at several backends, one after the other
// or side by side, seen by the client as one stream.
//
// An EventStream of its own, so its owner is a coroutine on one I/O thread and everything here
// lives on that thread. The decisions are AttemptPlan's, AnswerProgress's and RouteGroup's; this is
// the shell that reads.
#pragma once

#include "gateway/answer_leg.hpp"
#include "gateway/answer_progress.hpp"
#include "gateway/attempt_search.hpp"
#include "gateway/backend.hpp"
#include "gateway/run_context.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {

class AnswerRun final : public EventStream {
 public:
  // The request and what `context` refers to outlive the run.
  AnswerRun(const protocol::Request& request, RunContext context,
            boost::asio::any_io_executor executor);
  ~AnswerRun() override;

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override;
  void cancel() override;
  AttemptFailure failure() const override { return failure_; }
  std::string route_note() const override;

 private:
  using LegPointer = std::shared_ptr<AnswerLeg>;

  base::TimePoint now() const { return search_.now(); }
  AttemptPlan& plan() { return search_.plan(); }

  void begin(RouteGroup::Selected selected);
  LegPointer start(RouteGroup::Selected selected, base::TimePoint time, bool races);
  void take(std::vector<protocol::Event>& events);
  void leg_failed(LegPointer leg, const base::Error& error);
  void leg_ended();
  protocol::Usage cost(const AnswerLeg& leg, CountedBy& counted_by) const;
  void report(AnswerLeg& leg, AttemptOutcome outcome, const AttemptFailure* failure);
  void note(std::string_view text);
  CandidateSet mute_candidates() const;

  // answer_race.cpp: two legs side by side.
  std::optional<base::Milliseconds> hedge_delay(std::size_t index, base::TimePoint time);
  boost::asio::awaitable<void> race();
  void start_rival(base::TimePoint time);
  bool settle_race();
  void lose(const LegPointer& leg);
  static void give_up(AnswerLeg& leg);
  bool shows_whole(std::size_t index) const;
  void note_time(const AnswerLeg& leg, base::TimePoint time);

  const protocol::Request& request_;
  RunContext context_;
  const boost::asio::any_io_executor executor_;
  AttemptSearch search_;
  AnswerProgress progress_;
  LegPointer leg_;
  LegPointer rival_;                                 // beside it, until one of them speaks
  std::optional<base::TimePoint> hedge_at_;          // when a rival begins, while one may
  std::shared_ptr<const protocol::Request> shared_;  // a copy, for legs that may outlive the run
  AttemptFailure failure_{FailureKind::client_cancelled};
  std::string note_;
};

}  // namespace deepseek::gateway
