// The half of AnswerRun that hedges: a second attempt beside a slow first one, until one speaks.
#include "gateway/answer_run.hpp"

#include <boost/asio/awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::TimePoint;

bool AnswerRun::shows_whole(std::size_t index) const {
  return context_.traits.whole && !context_.group.target(index).options().local;
}

void AnswerRun::note_time(const AnswerLeg& leg, TimePoint time) {
  context_.group.note_first_token(
      shows_whole(leg.index),
      std::chrono::duration_cast<std::chrono::microseconds>(time - leg.use.began()), time);
}

std::optional<base::Milliseconds> AnswerRun::hedge_delay(std::size_t index, TimePoint time) {
  if (!context_.group.options().hedge || context_.side_work == nullptr) return std::nullopt;
  if (progress_.spoken() || progress_.headed() || !plan().may_hedge()) return std::nullopt;
  if (!search_.others_left(index, mute_candidates())) return std::nullopt;
  return context_.group.hedge_delay(shows_whole(index), time);
}

// Returns when the first leg speaks, when none is left, and when the run was cancelled.
asio::awaitable<void> AnswerRun::race() {
  while (!search_.cancelled() && leg_ && leg_->racing) {
    if (settle_race()) continue;
    const TimePoint time = now();
    if (hedge_at_ && time >= *hedge_at_) {
      hedge_at_.reset();
      start_rival(time);
      continue;
    }
    co_await search_.wait_until(hedge_at_.value_or(TimePoint::max()));
  }
}

void AnswerRun::start_rival(TimePoint time) {
  if (!plan().may_hedge()) return;
  auto selected = context_.group.select_hedge(search_.excluded(mute_candidates()), context_.traits,
                                              search_.random_bits(), time);
  if (!selected) return;
  plan().hedged();
  note("; it is slow");
  rival_ = start(std::move(*selected), time, true);
  if (!rival_->racing) lose(std::exchange(rival_, nullptr));
}

// True if one of the legs had come to something.
bool AnswerRun::settle_race() {
  const LegPointer done = leg_->settled() ? leg_ : rival_;
  if (!done || !done->settled()) return false;
  if (done->speaks) {
    const LegPointer other = done == leg_ ? rival_ : leg_;
    leg_ = done;
    rival_.reset();
    if (other) {
      lose(other);
      note("; ");
      note(context_.group.target(done->index).name());
      note(" was faster");
    }
    leg_->racing = false;
    hedge_at_.reset();
    progress_.begin_leg(leg_->index);
    return true;
  }
  leg_failed(done, *done->error);
  // The client's own mistake is the same everywhere: the other need not find it too.
  if (leg_ && plan().next(now()).kind == AttemptPlan::Step::Kind::give_up) {
    lose(std::exchange(leg_, nullptr));
  }
  return true;
}

void AnswerRun::lose(const LegPointer& leg) {
  CountedBy counted_by{};
  progress_.end_leg(cost(*leg, counted_by));
  note_time(*leg, now());
  plan().lost(leg->index);
  report(*leg, AttemptOutcome::hedge_lost, nullptr);
  give_up(*leg);
}

// The task that reads a racing leg holds it until its stream has ended.
void AnswerRun::give_up(AnswerLeg& leg) {
  leg.given_up = true;
  if (leg.racing) leg.stream->cancel();
}

}  // namespace deepseek::gateway
