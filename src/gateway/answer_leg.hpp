// One attempt that runs, as its answer_run has it; and what it has said while it races another.
//
// Lives on the run's thread. A leg that races is read by a task of its own, which holds on to it
// and to its request until the stream has ended: it may outlive the run that gave it up.
#pragma once

#include "gateway/answer_progress.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/backend.hpp"
#include "gateway/run_clock.hpp"
#include "gateway/target.hpp"

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace deepseek::gateway {

struct AnswerLeg {
  std::shared_ptr<const protocol::Request> request{};  // the stream's, while it races
  std::size_t index = 0;                               // of its target in the route
  std::uint32_t number = 0;
  TargetUse use;
  std::unique_ptr<EventStream> stream;
  std::optional<base::TimePoint> first_token{};

  // While it races.
  std::vector<protocol::Event> held{};  // what it said, not yet shown
  std::size_t held_bytes = 0;
  bool speaks = false;  // text is among it, or something else that makes it the winner
  std::optional<base::Error> error{};
  bool racing = false;    // its task shall read on
  bool given_up = false;  // by its run
  bool settled() const { return speaks || error; }

  // Takes what a read gave. True: the race is over for this leg.
  bool hear(base::Result<std::vector<protocol::Event>> events);
};

// Reads until the leg is settled, then wakes the run.
boost::asio::awaitable<void> race_leg(std::shared_ptr<AnswerLeg> leg,
                                      std::shared_ptr<RunAlarm> alarm);

// What an attempt cost that said so much; `counted_by` tells whose numbers they are.
protocol::Usage cost_of(const AnswerProgress::Leg& leg, const protocol::Request& request,
                        CountedBy& counted_by);
// The same of a leg that raced in vain: only what it was told to read can have cost anything.
protocol::Usage cost_of_loser(const AnswerLeg& leg, const protocol::Request& request,
                              CountedBy& counted_by);

}  // namespace deepseek::gateway
