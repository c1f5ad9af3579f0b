// The answer to one request, whatever it takes: attempts at several backends, one after the other
// or side by side, seen by the client as one stream.
//
// An EventStream of its own, so its owner is a coroutine on one I/O thread and everything here
// lives on that thread. The decisions are AttemptPlan's, AnswerProgress's and RouteGroup's; this is
// the shell that waits.
#pragma once

#include "gateway/answer_progress.hpp"
#include "gateway/attempt_plan.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/backend.hpp"
#include "gateway/route_group.hpp"
#include "io/event.hpp"

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {

struct RunOptions {
  PlanOptions plan{};
  std::size_t continuation_bytes_max = 1u << 20;
  base::Milliseconds request_timeout{600'000};
};

struct RunContext {
  const RunOptions& options;
  RouteGroup& group;
  RequestTraits traits{};
  std::vector<std::uint64_t> prefix_blocks{};  // for cache_aware; traits need not refer to them
  std::string tenant{};
  double weight = 1;          // of the tenant
  std::int32_t priority = 0;  // in the line for a busy backend
  base::TimePoint arrived{};
  AttemptObserver* observer = nullptr;  // not owned; may be null
};

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
  // One attempt that runs.
  struct Leg {
    std::size_t index = 0;
    std::uint32_t number = 0;
    TargetUse use;
    std::unique_ptr<EventStream> stream;
    std::optional<base::TimePoint> first_token{};
  };

  boost::asio::awaitable<base::Result<void>> next_leg();
  boost::asio::awaitable<void> wait_until(base::TimePoint time);
  boost::asio::awaitable<void> wait_in_line(CandidateSet excluded);
  enum class Started { yes, nobody, busy };
  Started try_start(CandidateSet excluded, bool called, base::TimePoint now);
  bool others_left(std::size_t index) const;
  void start(RouteGroup::Selected selected, base::TimePoint now);
  void take(std::vector<protocol::Event>& events);
  void leg_failed(const base::Error& error);
  void leg_ended();
  protocol::Usage leg_cost(CountedBy& counted_by) const;
  void report(AttemptOutcome outcome, const AttemptFailure* failure);
  CandidateSet mute_candidates() const;
  base::Error cancelled_error() const;

  const protocol::Request& request_;
  RunContext context_;
  const boost::asio::any_io_executor executor_;
  const base::TimePoint end_by_;
  CandidateSet unable_;
  AttemptPlan plan_;
  AnswerProgress progress_;
  std::unique_ptr<Leg> leg_;
  // Shared with wakers on other threads, which post to this thread and find it gone or not.
  struct Alarm {
    explicit Alarm(boost::asio::any_io_executor executor) : timer(std::move(executor)) {}
    boost::asio::steady_timer timer;
    bool called = false;
  };
  std::shared_ptr<Alarm> alarm_;
  AttemptFailure failure_{FailureKind::client_cancelled};
  std::string note_;
  bool cancelled_ = false;
};

}  // namespace deepseek::gateway
