#include "gateway/attempt_search.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using base::TimePoint;

namespace {

TimePoint deadline(const RunContext& context) {
  const auto timeout = context.options.request_timeout;
  return timeout.count() == 0 ? TimePoint::max() : context.arrived + timeout;
}

WaitRoom::Waker waker(const asio::any_io_executor& executor, const std::shared_ptr<RunAlarm>& to) {
  return [executor, weak = std::weak_ptr(to)] {
    asio::post(executor, [weak] {
      const auto alarm = weak.lock();
      if (!alarm) return;
      alarm->called = true;
      alarm->timer.cancel();
    });
  };
}

base::Error line_full(base::Milliseconds timeout) {
  auto error = base::make_error(ErrorCode::queue_full,
                                "All backends are busy and the line of waiting requests is full "
                                "(queue.depth_max). Try again later.");
  error.retry_after = timeout / 2;
  return error;
}

base::Error waited_in_vain(base::Milliseconds timeout) {
  auto error = base::make_error(ErrorCode::rate_limited, "All backends were busy for " +
                                                             std::to_string(timeout.count()) +
                                                             " ms (queue.timeout). Try again "
                                                             "later.");
  error.retry_after = timeout;
  return error;
}

}  // namespace

AttemptSearch::AttemptSearch(const RunContext& context, std::string_view model,
                             asio::any_io_executor executor)
    : context_(context),
      executor_(std::move(executor)),
      end_by_(deadline(context)),
      unable_(context.group.unable(model)),
      plan_(context.options.plan, context.group.size(), end_by_),
      alarm_(std::make_shared<RunAlarm>(executor_)) {}

void AttemptSearch::cancel() {
  cancelled_ = true;
  alarm_->timer.cancel();
}

std::uint64_t AttemptSearch::random_bits() const {
  return context_.clock ? context_.clock->random_bits() : base::random_bits();
}

CandidateSet AttemptSearch::excluded(CandidateSet mute) const {
  return plan_.next(now()).excluded | unable_ | mute;
}

bool AttemptSearch::others_left(std::size_t index, CandidateSet mute) const {
  const CandidateSet out = excluded(mute);
  for (std::size_t i = 0; i < context_.group.size(); ++i) {
    if (i != index && (out & candidate_bit(i)) == 0) return true;
  }
  return false;
}

TimePoint AttemptSearch::end_of_whole(std::size_t index, CandidateSet mute, TimePoint now) const {
  return others_left(index, mute) ? now + (end_by_ - now) / 2 : end_by_;
}

asio::awaitable<base::Result<RouteGroup::Selected>> AttemptSearch::next(CandidateSet mute) {
  Found found;
  while (true) {
    if (cancelled_) co_return request_cancelled();
    const AttemptPlan::Step step = plan_.next(now());
    switch (step.kind) {
      case AttemptPlan::Step::Kind::give_up:
        co_return *step.error;
      case AttemptPlan::Step::Kind::wait:
        co_await wait_until(step.until);
        break;
      case AttemptPlan::Step::Kind::choose: {
        const CandidateSet out = step.excluded | unable_ | mute;
        const Outcome outcome = select(out, false, found);
        if (outcome == Outcome::busy) co_await wait_in_line(out, found);
        if (found) co_return std::move(*found);
        break;
      }
    }
  }
}

asio::awaitable<void> AttemptSearch::wait_until(TimePoint time) {
  if (context_.clock) {
    context_.clock->set(alarm_, time);
  } else {
    alarm_->timer.expires_at(time);
  }
  co_await alarm_->timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

// Until a place is free and it is this request's turn, or the time is up.
asio::awaitable<void> AttemptSearch::wait_in_line(CandidateSet excluded, Found& found) {
  RouteGroup& group = context_.group;
  const base::Milliseconds timeout = group.options().queue_timeout;
  const TimePoint until = std::min(end_by_, now() + timeout);
  alarm_->called = false;
  const auto ticket = group.wait_in_line({context_.tenant, context_.weight, context_.priority},
                                         waker(executor_, alarm_));
  if (!ticket) {
    plan_.refused(line_full(timeout));
    co_return;
  }
  while (!found && !cancelled_ && now() < until) {
    if (!alarm_->called) co_await wait_until(std::min(until, usable_at_.value_or(until)));
    if (usable_at_ && now() >= *usable_at_) {
      usable_at_.reset();
      group.room().call_one();
    }
    if (!std::exchange(alarm_->called, false) || cancelled_) continue;
    if (select(excluded, true, found) != Outcome::found) group.room().pass_on(*ticket);
  }
  // A call that came too late is the next one's.
  if (!found) group.room().pass_on(*ticket);
  group.leave_line(*ticket);
  if (found || cancelled_ || now() >= end_by_) co_return;
  plan_.refused(waited_in_vain(timeout));
}

AttemptSearch::Outcome AttemptSearch::select(CandidateSet excluded, bool called, Found& found) {
  const TimePoint time = now();
  auto selected = context_.group.select(excluded, context_.traits, random_bits(), time, called);
  if (auto* chosen = std::get_if<RouteGroup::Selected>(&selected)) {
    found = std::move(*chosen);
    return Outcome::found;
  }
  const auto& nobody = std::get<RouteGroup::Nobody>(selected);
  if (nobody.busy) {
    usable_at_ = nobody.back_at;
    return Outcome::busy;
  }
  AttemptPlan::NoneUsable why;
  why.back_at = nobody.back_at;
  why.random = random_bits();
  why.retries_allowed = plan_.attempts() == 0 || context_.group.take_retry(time);
  why.reason = base::make_error(
      nobody.limited ? ErrorCode::rate_limited : ErrorCode::unavailable,
      "No backend can answer now: " +
          (nobody.why.empty() ? std::string("none of them serves this model") : nobody.why) + ".");
  plan_.none_usable(why, time);
  return Outcome::nobody;
}

AttemptFailure counted_failure(AttemptFailure failure, const Target& target, std::uint32_t number,
                               bool cancelled) {
  if (cancelled) failure.kind = FailureKind::client_cancelled;
  // An engine that is still loading has waited for itself already; one that died under this request
  // is waited for again.
  if (failure.kind == FailureKind::connect && number == 1 && target.options().local) {
    failure.kind = FailureKind::status_4xx_there;
  }
  return failure;
}

}  // namespace deepseek::gateway
