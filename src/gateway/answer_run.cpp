#include "gateway/answer_run.hpp"

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
using protocol::Event;

namespace {

constexpr std::size_t note_bytes_max = 512;  // of the header; a little more is no harm

TimePoint deadline(const RunContext& context) {
  const auto timeout = context.options.request_timeout;
  return timeout.count() == 0 ? TimePoint::max() : context.arrived + timeout;
}

}  // namespace

std::string_view to_string(AttemptOutcome outcome) {
  switch (outcome) {
    case AttemptOutcome::answered:
      return "answered";
    case AttemptOutcome::continued:
      return "continued";
    case AttemptOutcome::failed:
      return "failed";
    case AttemptOutcome::cancelled:
      return "cancelled";
    case AttemptOutcome::hedge_lost:
      return "hedge_lost";
    case AttemptOutcome::shadow:
      return "shadow";
  }
  return "failed";
}

AnswerRun::AnswerRun(const protocol::Request& request, RunContext context,
                     asio::any_io_executor executor)
    : request_(request),
      context_(std::move(context)),
      executor_(std::move(executor)),
      end_by_(deadline(context_)),
      unable_(context_.group.unable(request.model)),
      plan_(context_.options.plan, context_.group.size(), end_by_),
      progress_(request, context_.options.continuation_bytes_max),
      alarm_(std::make_shared<RunAlarm>(executor_)) {
  context_.traits.prefix_blocks = context_.prefix_blocks;
  context_.traits.whole = !request.stream;
  context_.group.count_request(context_.arrived);
}

AnswerRun::~AnswerRun() {
  for (AnswerLeg* const leg : {leg_.get(), rival_.get()}) {
    if (leg == nullptr) continue;
    report(*leg, AttemptOutcome::cancelled, nullptr);
    give_up(*leg);
  }
}

void AnswerRun::cancel() {
  if (std::exchange(cancelled_, true)) return;
  if (leg_) leg_->stream->cancel();
  if (rival_) rival_->stream->cancel();
  alarm_->timer.cancel();
}

std::uint64_t AnswerRun::random_bits() const {
  return context_.clock ? context_.clock->random_bits() : base::random_bits();
}

void AnswerRun::note(std::string_view text) {
  if (note_.size() < note_bytes_max) note_ += text;
}

std::string AnswerRun::route_note() const {
  return note_;
}

asio::awaitable<base::Result<std::vector<Event>>> AnswerRun::read() {
  while (true) {
    if (progress_.finished()) co_return std::vector<Event>();
    if (cancelled_) co_return request_cancelled();
    if (!leg_) {
      auto started = co_await next_leg();
      if (started.has_error()) co_return started.error();
    }
    if (leg_->racing) {
      co_await race();
      if (!leg_ || cancelled_) continue;
      std::vector<Event> held = std::exchange(leg_->held, {});
      take(held);
      if (!held.empty()) co_return held;
      continue;
    }
    auto events = co_await leg_->stream->read();
    if (events.has_error()) {
      leg_failed(leg_, events.error());
      continue;
    }
    if (events->empty()) {
      leg_failed(leg_,
                 base::make_error(ErrorCode::upstream_failed, "The answer ended before its end."));
      continue;
    }
    take(*events);
    if (!events->empty()) co_return std::move(*events);
  }
}

asio::awaitable<base::Result<void>> AnswerRun::next_leg() {
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
        const CandidateSet excluded = step.excluded | unable_ | mute_candidates();
        const Started started = try_start(excluded, false, now());
        if (started == Started::busy) co_await wait_in_line(excluded);
        if (leg_) co_return base::Result<void>{};
        break;
      }
    }
  }
}

asio::awaitable<void> AnswerRun::wait_until(TimePoint time) {
  if (context_.clock) {
    context_.clock->set(alarm_, time);
  } else {
    alarm_->timer.expires_at(time);
  }
  co_await alarm_->timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

// Until a place is free and it is this request's turn, or the time is up.
asio::awaitable<void> AnswerRun::wait_in_line(CandidateSet excluded) {
  RouteGroup& group = context_.group;
  const TimePoint began = now();
  const TimePoint until = std::min(end_by_, began + group.options().queue_timeout);
  alarm_->called = false;
  const auto ticket = group.wait_in_line({context_.tenant, context_.weight, context_.priority},
                                         [executor = executor_, weak = std::weak_ptr(alarm_)] {
                                           asio::post(executor, [weak] {
                                             const auto alarm = weak.lock();
                                             if (!alarm) return;
                                             alarm->called = true;
                                             alarm->timer.cancel();
                                           });
                                         });
  if (!ticket) {
    auto error = base::make_error(ErrorCode::queue_full,
                                  "All backends are busy and the line of waiting requests is full "
                                  "(queue.depth_max). Try again later.");
    error.retry_after = group.options().queue_timeout / 2;
    plan_.refused(std::move(error));
    co_return;
  }
  while (!leg_ && !cancelled_ && now() < until) {
    if (!alarm_->called) co_await wait_until(std::min(until, usable_at_.value_or(until)));
    if (usable_at_ && now() >= *usable_at_) {
      usable_at_.reset();
      group.room().call_one();
    }
    if (!std::exchange(alarm_->called, false) || cancelled_) continue;
    if (try_start(excluded, true, now()) != Started::yes) group.room().pass_on(*ticket);
  }
  // A call that came too late is the next one's.
  if (!leg_) group.room().pass_on(*ticket);
  group.leave_line(*ticket);
  if (leg_ || cancelled_ || now() >= end_by_) co_return;
  auto error = base::make_error(ErrorCode::rate_limited,
                                "All backends were busy for " +
                                    std::to_string(group.options().queue_timeout.count()) +
                                    " ms (queue.timeout). Try again later.");
  error.retry_after = group.options().queue_timeout;
  plan_.refused(std::move(error));
}

// Those that cannot go on behind the text that was sent.
CandidateSet AnswerRun::mute_candidates() const {
  CandidateSet set = 0;
  if (!progress_.spoken()) return set;
  for (std::size_t i = 0; i < context_.group.size(); ++i) {
    if (!context_.group.target(i).options().continues) set |= candidate_bit(i);
  }
  return set;
}

AnswerRun::Started AnswerRun::try_start(CandidateSet excluded, bool called, TimePoint time) {
  auto selected = context_.group.select(excluded, context_.traits, random_bits(), time, called);
  if (auto* chosen = std::get_if<RouteGroup::Selected>(&selected)) {
    const auto delay = hedge_delay(chosen->index, time);
    leg_ = start(std::move(*chosen), time, delay.has_value());
    if (delay) hedge_at_ = time + *delay;
    return Started::yes;
  }
  const auto& nobody = std::get<RouteGroup::Nobody>(selected);
  if (nobody.busy) {
    usable_at_ = nobody.back_at;
    return Started::busy;
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
  return Started::nobody;
}

CandidateSet AnswerRun::excluded_now() const {
  return plan_.next(now()).excluded | unable_ | mute_candidates();
}

bool AnswerRun::others_left(std::size_t index) const {
  const CandidateSet excluded = excluded_now();
  for (std::size_t i = 0; i < context_.group.size(); ++i) {
    if (i != index && (excluded & candidate_bit(i)) == 0) return true;
  }
  return false;
}

AnswerRun::LegPointer AnswerRun::start(RouteGroup::Selected selected, TimePoint time, bool races) {
  Target& target = context_.group.target(selected.index);
  auto leg = std::make_shared<AnswerLeg>();
  leg->index = selected.index;
  leg->use = std::move(selected.use);
  leg->number = plan_.attempts() + 1;
  leg->racing = races;
  if (races) {
    if (!shared_) shared_ = std::make_shared<const protocol::Request>(request_);
    leg->request = shared_;
  }
  const bool first = plan_.attempts() == 0;
  progress_.begin_leg(selected.index);
  Attempt attempt{races ? *shared_ : request_, executor_};
  if (progress_.spoken()) attempt.spoken = &progress_.text();
  // The first attempt's time to its first token counts from the request's arrival.
  const TimePoint from = first ? context_.arrived : time;
  attempt.first_token_by =
      request_.stream ? std::min(end_by_, from + target.options().first_token_timeout) : end_by_;
  attempt.end_by = end_by_;
  // A whole answer shows no sign of life before its end: one backend may not use up the time of
  // those that could still be asked.
  if (!request_.stream && others_left(selected.index)) {
    attempt.end_by = time + (end_by_ - time) / 2;
    attempt.first_token_by = attempt.end_by;
  }
  attempt.verbatim =
      !progress_.spoken() && !progress_.headed() && request_.form != protocol::ClientForm::other;
  plan_.started(selected.index);
  if (!note_.empty()) note("; ");
  note(target.name());
  note(": ");
  note(selected.reason);
  leg->stream = target.backend().start(attempt);
  if (races && !context_.side_work->spawn("race", race_leg(leg, alarm_))) leg->racing = false;
  return leg;
}

void AnswerRun::take(std::vector<Event>& events) {
  progress_.take(events);
  const bool said = progress_.leg().delivered.text.bytes() > 0 || progress_.leg().delivered.other;
  if (!leg_->first_token && (said || progress_.finished())) {
    const TimePoint time = now();
    leg_->first_token = time;
    leg_->use.first_token(time);
    note_time(*leg_, time);
  }
  if (progress_.finished()) leg_ended();
}

protocol::Usage AnswerRun::cost(const AnswerLeg& leg, CountedBy& counted_by) const {
  return leg.racing ? cost_of_loser(leg, request_, counted_by)
                    : cost_of(progress_.leg(), request_, counted_by);
}

void AnswerRun::report(AnswerLeg& leg, AttemptOutcome outcome, const AttemptFailure* failure) {
  const TimePoint ended = now();
  AttemptRecord record;
  record.request_id = request_.id;
  record.tenant = context_.tenant;
  record.model = request_.model;
  record.backend = leg.use.target()->name();
  record.number = leg.number;
  record.outcome = outcome;
  if (failure != nullptr) {
    record.failure = failure->kind;
    record.status = failure->status;
  }
  record.usage = cost(leg, record.counted_by);
  record.began = leg.use.began();
  record.first_token = leg.first_token;
  record.ended = ended;
  if (outcome == AttemptOutcome::answered) {
    leg.use.succeeded(ended, record.usage.total_tokens());
  } else if (failure != nullptr) {
    leg.use.failed(ended, *failure);
  } else {
    leg.use.cancelled(ended);
  }
  if (context_.observer != nullptr) context_.observer->on_attempt(record);
}

void AnswerRun::leg_ended() {
  report(*leg_, AttemptOutcome::answered, nullptr);
  leg_.reset();
}

// `leg` is a copy: the members that hold it are reset here.
void AnswerRun::leg_failed(LegPointer leg, const base::Error& error) {
  failure_ = leg->stream->failure();
  if (cancelled_) failure_.kind = FailureKind::client_cancelled;
  // An engine that is still loading has waited for itself already; one that died under this request
  // is waited for again.
  if (failure_.kind == FailureKind::connect && leg->number == 1 &&
      leg->use.target()->options().local) {
    failure_.kind = FailureKind::status_4xx_there;
  }
  CountedBy counted_by{};
  const protocol::Usage used = cost(*leg, counted_by);
  const bool cancelled = failure_.kind == FailureKind::client_cancelled;
  const bool goes_on = progress_.spoken() && progress_.cannot_continue().empty();
  report(*leg,
         cancelled ? AttemptOutcome::cancelled
                   : (goes_on ? AttemptOutcome::continued : AttemptOutcome::failed),
         &failure_);
  // The other one goes on alone, if there is one.
  if (leg == leg_) leg_ = std::move(rival_);
  rival_.reset();
  progress_.end_leg(used);
  // Whoever waits for a whole answer has seen nothing of it: it can begin anew.
  if (progress_.spoken() && !request_.stream && !progress_.cannot_continue().empty()) {
    progress_.restart();
  }
  AttemptPlan::Failed failed;
  failed.candidate = leg->index;
  failed.failure = failure_;
  failed.error = error;
  failed.spoken = progress_.spoken();
  failed.cannot_continue = progress_.cannot_continue();
  const CandidateSet all = context_.group.size() >= candidates_max
                               ? ~CandidateSet{0}
                               : candidate_bit(context_.group.size()) - 1;
  if (failed.spoken && (all & ~(mute_candidates() | unable_)) == 0) {
    failed.cannot_continue = "no backend of this route can continue a text";
  }
  if (leg_) {
    note("; ");
    note(context_.group.target(leg->index).name());
  }
  note(" failed (");
  note(describe(failure_.kind).name);
  note(")");
  plan_.failed(failed, now());
}

}  // namespace deepseek::gateway
