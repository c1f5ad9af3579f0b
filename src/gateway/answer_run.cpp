#include "gateway/answer_run.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using base::TimePoint;
using protocol::Event;

namespace {

constexpr std::size_t note_bytes_max = 512;  // of the header; a little more is no harm

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
      search_(context_, request.model, executor_),
      progress_(request, context_.options.continuation_bytes_max) {
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
  if (search_.cancelled()) return;
  search_.cancel();
  if (leg_) leg_->stream->cancel();
  if (rival_) rival_->stream->cancel();
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
    if (search_.cancelled()) co_return request_cancelled();
    if (!leg_) {
      auto selected = co_await search_.next(mute_candidates());
      if (selected.has_error()) co_return selected.error();
      begin(std::move(*selected));
    }
    if (leg_->racing) {
      co_await race();
      if (!leg_ || search_.cancelled()) continue;
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

// Those that cannot go on behind the text that was sent.
CandidateSet AnswerRun::mute_candidates() const {
  CandidateSet set = 0;
  if (!progress_.spoken()) return set;
  for (std::size_t i = 0; i < context_.group.size(); ++i) {
    if (!context_.group.target(i).options().continues) set |= candidate_bit(i);
  }
  return set;
}

void AnswerRun::begin(RouteGroup::Selected selected) {
  const TimePoint time = now();
  const auto delay = hedge_delay(selected.index, time);
  leg_ = start(std::move(selected), time, delay.has_value());
  if (delay) hedge_at_ = time + *delay;
}

AnswerRun::LegPointer AnswerRun::start(RouteGroup::Selected selected, TimePoint time, bool races) {
  Target& target = context_.group.target(selected.index);
  auto leg = std::make_shared<AnswerLeg>();
  leg->index = selected.index;
  leg->use = std::move(selected.use);
  leg->number = plan().attempts() + 1;
  leg->racing = races;
  if (races) {
    if (!shared_) shared_ = std::make_shared<const protocol::Request>(request_);
    leg->request = shared_;
  }
  const bool first = plan().attempts() == 0;
  progress_.begin_leg(selected.index);
  Attempt attempt{races ? *shared_ : request_, executor_};
  if (progress_.spoken()) attempt.spoken = &progress_.text();
  // The first attempt's time to its first token counts from the request's arrival.
  const TimePoint from = first ? context_.arrived : time;
  attempt.first_token_by = std::min(search_.end_by(), from + target.options().first_token_timeout);
  attempt.end_by = search_.end_by();
  attempt.claim = {context_.tenant, context_.weight, context_.priority};
  if (!request_.stream) {
    attempt.end_by = search_.end_of_whole(selected.index, mute_candidates(), time);
    attempt.first_token_by = attempt.end_by;
  }
  attempt.verbatim =
      !progress_.spoken() && !progress_.headed() && request_.form != protocol::ClientForm::other;
  plan().started(selected.index);
  if (!note_.empty()) note("; ");
  note(target.name());
  note(": ");
  note(selected.reason);
  leg->stream = target.backend().start(attempt);
  if (races && !context_.side_work->spawn("race", race_leg(leg, search_.alarm())))
    leg->racing = false;
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
  failure_ =
      counted_failure(leg->stream->failure(), *leg->use.target(), leg->number, search_.cancelled());
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
  failed.said = failed.spoken && leg->first_token.has_value();
  failed.cannot_continue = progress_.cannot_continue();
  const CandidateSet all = context_.group.size() >= candidates_max
                               ? ~CandidateSet{0}
                               : candidate_bit(context_.group.size()) - 1;
  if (failed.spoken && (all & ~(mute_candidates() | search_.unable())) == 0) {
    failed.cannot_continue = "no backend of this route can continue a text";
  }
  if (leg_) {
    note("; ");
    note(context_.group.target(leg->index).name());
  }
  note(" failed (");
  note(describe(failure_.kind).name);
  note(")");
  plan().failed(failed, now());
}

}  // namespace deepseek::gateway
