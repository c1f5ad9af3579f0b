#include "gateway/attempt_plan.hpp"

#include <algorithm>
#include <string>

namespace deepseek::gateway {

using base::Error;
using base::ErrorCode;
using base::TimePoint;

namespace {

Error out_of_time(const std::optional<Error>& last) {
  std::string message = "The request's deadline passed before a backend had answered.";
  if (last) message += " Last: " + last->message;
  return base::make_error(ErrorCode::deadline_exceeded, std::move(message));
}

Error broken_off(const Error& error, std::string_view why) {
  return base::make_error(ErrorCode::upstream_failed,
                          "The answer broke off (" + error.message +
                              ") and cannot be continued elsewhere: " + std::string(why) +
                              ". Send the request again.");
}

}  // namespace

AttemptPlan::AttemptPlan(const PlanOptions& options, std::size_t candidates, TimePoint end_by)
    : options_(options),
      all_(candidates >= candidates_max ? ~CandidateSet{0} : candidate_bit(candidates) - 1),
      end_by_(end_by) {}

AttemptPlan::Step AttemptPlan::next(TimePoint now) const {
  Step step;
  if (given_up_) {
    step.kind = Step::Kind::give_up;
    step.error = given_up_;
  } else if (now >= end_by_) {
    step.kind = Step::Kind::give_up;
    step.error = out_of_time(last_error_);
  } else if (wait_until_ && now < *wait_until_) {
    step.kind = Step::Kind::wait;
    step.until = *wait_until_;
  } else {
    step.excluded = tried_ | refused_;
    step.again = again_;
  }
  return step;
}

void AttemptPlan::started(std::size_t candidate) {
  ++attempts_;
  ++running_;
  tried_ |= candidate_bit(candidate);
  wait_until_.reset();
}

bool AttemptPlan::may_hedge() const {
  return !hedged_ && !given_up_ && !spoken_ && attempts_ <= options_.retry.retries_max;
}

void AttemptPlan::lost(std::size_t candidate) {
  if (running_ > 0) --running_;
  // It was only slow: it may be asked as if it had not been.
  tried_ &= ~candidate_bit(candidate);
}

void AttemptPlan::failed(const Failed& failed, TimePoint /*now*/) {
  const FailureInfo& info = describe(failed.failure.kind);
  if (running_ > 0) --running_;
  last_error_ = failed.error;
  if (failed.failure.retry_after) last_error_->retry_after = failed.failure.retry_after;
  if (!info.elsewhere && !info.same_again) return give_up(failed.error);
  if (failed.spoken && !failed.cannot_continue.empty()) {
    return give_up(broken_off(failed.error, failed.cannot_continue));
  }
  spoken_ = spoken_ || failed.spoken;
  if (failed.said) {
    if (++continuations_ > options_.continuations_max) {
      return give_up(broken_off(failed.error, "it broke off too often"));
    }
    // It had gone on: what failed before it did is over.
    attempts_ = 1;
    pauses_ = 0;
  }
  if (!info.same_again) refused_ |= candidate_bit(failed.candidate);
  if (running_ > 0) return;
  if (!may_ask_anyone() || attempts_ > options_.retry.retries_max) give_up(*last_error_);
}

TimePoint AttemptPlan::pause_end(const NoneUsable& why, TimePoint now) const {
  const TimePoint rested = now + backoff(options_.retry, pauses_ + 1, why.random);
  if (!why.back_at) return rested;
  const auto named = std::chrono::ceil<base::Milliseconds>(*why.back_at - now);
  if (named.count() <= 0) return rested;
  return now + backoff(options_.retry, pauses_ + 1, why.random, named);
}

void AttemptPlan::none_usable(const NoneUsable& why, TimePoint now) {
  Error word = last_error_ ? *last_error_
               : why.reason
                   ? *why.reason
                   : base::make_error(ErrorCode::unavailable, "No backend can answer now.");
  if (!may_ask_anyone()) return give_up(std::move(word));
  if (last_error_ && !why.retries_allowed) {
    word.message += " Not tried again: the retry budget is spent (retry.budget_percent).";
    return give_up(std::move(word));
  }
  const TimePoint until = pause_end(why, now);
  const auto pause = std::chrono::ceil<base::Milliseconds>(until - now);
  if (pause > options_.wait_max || until >= end_by_ || pauses_ >= options_.retry.retries_max) {
    if (!word.retry_after && why.back_at) {
      word.retry_after = std::chrono::ceil<base::Milliseconds>(*why.back_at - now);
    }
    return give_up(std::move(word));
  }
  ++pauses_;
  tried_ = 0;
  again_ = true;
  wait_until_ = until;
}

}  // namespace deepseek::gateway
