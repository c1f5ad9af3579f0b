#include "engine/scheduler.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace deepseek::engine {
namespace {

// Room left for each running sequence when another is admitted, so that it is not preempted again
// a few tokens later.
constexpr std::int32_t kGrowthCells = 16;

double milliseconds_between(base::TimePoint from, base::TimePoint to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

base::Error context_error(const SequenceSpec& spec, std::int32_t context_max) {
  return base::make_error(base::ErrorCode::context_length,
                          "The prompt has " + std::to_string(spec.prompt.size()) +
                              " tokens; this model takes at most " + std::to_string(context_max) +
                              " tokens, prompt and answer together. Shorten the prompt.",
                          spec.prompt_field);
}

}  // namespace

bool Scheduler::Entitlement::operator<(const Entitlement& other) const {
  return std::tie(other.priority, arrival, id) < std::tie(priority, other.arrival, other.id);
}

Scheduler::Entitlement Scheduler::entitlement(const Sequence& sequence) {
  return {sequence.spec.priority, sequence.spec.arrival, sequence.spec.id};
}

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options) {
  options_.context_max = std::min(options_.context_max, options_.cells);
  for (std::int32_t slot = options_.sequences_max; slot > 0; --slot)
    free_slots_.push_back(slot - 1);
}

base::Result<void> Scheduler::submit(SequenceSpec spec, base::TimePoint now) {
  if (spec.prompt.empty()) {
    return base::make_error(base::ErrorCode::invalid_request, "The prompt has no tokens.",
                            spec.prompt_field);
  }
  if (spec.prompt.size() >= static_cast<std::size_t>(options_.context_max)) {
    return context_error(spec, options_.context_max);
  }
  if (sequences_.contains(spec.id)) {
    return base::make_error(base::ErrorCode::internal, "The sequence id is in use.");
  }
  if (waiting_fresh_ >= options_.queue_max) {
    base::Error error =
        base::make_error(base::ErrorCode::queue_full,
                         "The engine's queue is full (engine.priority_queue_size = " +
                             std::to_string(options_.queue_max) + "). Try again later.");
    error.retry_after = retry_after();
    return error;
  }
  (void)now;
  const SequenceId id = spec.id;
  Sequence sequence;
  sequence.tokens = spec.prompt;
  const std::int32_t room = options_.context_max - static_cast<std::int32_t>(spec.prompt.size());
  sequence.tokens_max = spec.tokens_max > 0 ? std::min(spec.tokens_max, room) : room;
  sequence.credits = spec.credits;
  sequence.spec = std::move(spec);
  waiting_.emplace(entitlement(sequence), id);
  ++waiting_fresh_;
  sequences_.emplace(id, std::move(sequence));
  return {};
}

bool Scheduler::cancel(SequenceId id) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return false;
  release(*sequence);
  sequences_.erase(id);
  return true;
}

void Scheduler::add_credit(SequenceId id, std::int32_t credits) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return;
  sequence->credits += credits;
  if (!sequence->paused()) sequence->paused_since.reset();
}

StepPlan Scheduler::plan(base::TimePoint now) {
  StepPlan plan;
  drop_expired(now, plan);
  plan_decode(plan);
  plan_prefill(plan);
  const std::int32_t budget = prefill_budget(plan);
  if (budget > 0) admit(plan, budget, now);
  plan.clears = std::exchange(clears_, {});
  last_plan_ = now;
  return plan;
}

void Scheduler::drop_expired(base::TimePoint now, StepPlan& plan) {
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    const SequenceId id = (entry++)->second;
    Sequence& sequence = sequences_.at(id);
    if (sequence.started || !sequence.spec.deadline || *sequence.spec.deadline > now) continue;
    release(sequence);
    sequences_.erase(id);
    plan.dropped.push_back(id);
  }
}

void Scheduler::plan_decode(StepPlan& plan) {
  std::vector<SequenceId> order;
  for (const auto& [key, id] : running_) order.push_back(id);
  for (const SequenceId id : order) {
    Sequence& sequence = sequences_.at(id);
    if (sequence.slot < 0 || !sequence.decoding() || sequence.paused()) continue;
    if (plan.tokens >= options_.step_tokens_max) break;
    if (make_room(sequence, 1, plan)) {
      take_slice(sequence, 1, plan);
    } else if (running_.size() > 1) {
      preempt(sequence, plan);
    }
  }
}

std::int32_t Scheduler::prefill_budget(const StepPlan& plan) const {
  std::int32_t decoding = 0;
  for (const Slice& slice : plan.slices) {
    if (sequences_.at(slice.id).decoding()) ++decoding;
  }
  const std::int32_t prefill = plan.tokens - decoding;
  std::int32_t budget = options_.step_tokens_max - plan.tokens;
  if (decoding > 0) budget = std::min(budget, options_.prefill_chunk - prefill);
  if (chunk_limit_ > 0) budget = std::min(budget, chunk_limit_ - prefill);
  return budget;
}

void Scheduler::plan_prefill(StepPlan& plan) {
  std::vector<SequenceId> order;
  for (const auto& [key, id] : running_) order.push_back(id);
  for (const SequenceId id : order) {
    Sequence& sequence = sequences_.at(id);
    if (sequence.slot < 0 || sequence.decoding() || sequence.paused()) continue;
    const std::int32_t budget = prefill_budget(plan);
    if (budget <= 0) break;
    std::int32_t count = std::min(sequence.missing(), budget);
    if (!make_room(sequence, count, plan)) {
      count = std::min(count, options_.cells - cells_used_ - plan.tokens);
    }
    if (count > 0) take_slice(sequence, count, plan);
  }
}

void Scheduler::admit(StepPlan& plan, std::int32_t budget, base::TimePoint now) {
  const base::TimePoint paused_before = now - options_.pause_grace;
  std::vector<SequenceId> order;
  for (const auto& [key, id] : waiting_) {
    if (!sequences_.at(id).paused()) order.push_back(id);
  }
  for (const SequenceId id : order) {
    Sequence& sequence = sequences_.at(id);
    const auto fits = [&] {
      const std::int32_t growth =
          running_.empty() ? 0 : kGrowthCells * static_cast<std::int32_t>(running_.size());
      return !free_slots_.empty() &&
             sequence.missing() + growth <= options_.cells - cells_promised();
    };
    while (!fits()) {
      Sequence* paused = victim(&sequence, true, paused_before);
      if (paused == nullptr) return;  // Strict order: nobody overtakes who waits for room.
      preempt(*paused, plan);
    }
    waiting_.erase(entitlement(sequence));
    running_.emplace(entitlement(sequence), id);
    sequence.slot = free_slots_.back();
    free_slots_.pop_back();
    if (!sequence.started) {
      --waiting_fresh_;
      sequence.started = true;
      sequence.admitted = now;
      plan.admitted.push_back(id);
    }
    take_slice(sequence, std::min(sequence.missing(), budget), plan);
    budget = prefill_budget(plan);
    if (budget <= 0) return;
  }
}

bool Scheduler::make_room(const Sequence& wants, std::int32_t cells, StepPlan& plan) {
  while (options_.cells - cells_used_ - plan.tokens < cells) {
    Sequence* loser = victim(&wants, true, base::TimePoint::max());
    if (loser == nullptr) loser = victim(&wants, false, base::TimePoint::max());
    if (loser == nullptr) return false;
    if (!loser->paused() && entitlement(*loser) < entitlement(wants)) return false;
    preempt(*loser, plan);
  }
  return true;
}

// The least entitled running sequence but `except`; with `paused_only`, of those paused before
// then.
Scheduler::Sequence* Scheduler::victim(const Sequence* except, bool paused_only,
                                       base::TimePoint paused_before) {
  for (auto entry = running_.rbegin(); entry != running_.rend(); ++entry) {
    Sequence& sequence = sequences_.at(entry->second);
    if (&sequence == except) continue;
    if (!paused_only) return &sequence;
    if (sequence.paused() && sequence.paused_since && *sequence.paused_since <= paused_before) {
      return &sequence;
    }
  }
  return nullptr;
}

void Scheduler::preempt(Sequence& sequence, StepPlan& plan) {
  const auto planned =
      std::find_if(plan.slices.begin(), plan.slices.end(),
                   [&](const Slice& slice) { return slice.id == sequence.spec.id; });
  if (planned != plan.slices.end()) {
    plan.tokens -= planned->size();
    plan.slices.erase(planned);
  }
  release(sequence);
  waiting_.emplace(entitlement(sequence), sequence.spec.id);
  plan.preempted.push_back(sequence.spec.id);
  ++preemptions_;
}

void Scheduler::take_slice(Sequence& sequence, std::int32_t count, StepPlan& plan) {
  Slice slice;
  slice.id = sequence.spec.id;
  slice.slot = sequence.slot;
  slice.begin = sequence.computed;
  slice.end = sequence.computed + count;
  slice.wants_logits = slice.end == static_cast<std::int32_t>(sequence.tokens.size());
  plan.slices.push_back(slice);
  plan.tokens += count;
}

// Leaves the queue or the batch; the cells are given back and cleared by the next plan.
void Scheduler::release(Sequence& sequence) {
  if (sequence.slot >= 0) {
    running_.erase(entitlement(sequence));
    clears_.push_back(sequence.slot);
    free_slots_.push_back(sequence.slot);
    cells_used_ -= sequence.computed;
    sequence.computed = 0;
    sequence.slot = -1;
  } else {
    waiting_.erase(entitlement(sequence));
    if (!sequence.started) --waiting_fresh_;
  }
}

std::vector<Ended> Scheduler::complete(const StepPlan& plan, std::span<const Sampled> sampled,
                                       base::TimePoint now, std::chrono::nanoseconds took) {
  if (chunk_limit_ > 0) {
    chunk_limit_ = chunk_limit_ * 2 >= options_.step_tokens_max ? 0 : chunk_limit_ * 2;
  }
  std::int32_t prefill_tokens = 0;
  for (const Slice& slice : plan.slices) {
    Sequence* sequence = find(slice.id);
    if (sequence == nullptr || sequence->slot != slice.slot) continue;
    if (sequence->decoding()) {
      decode_tokens_ += static_cast<std::uint64_t>(slice.size());
    } else {
      prefill_tokens += slice.size();
    }
    sequence->computed = slice.end;
    cells_used_ += slice.size();
  }
  prefill_tokens_ += static_cast<std::uint64_t>(prefill_tokens);
  speed_.step(plan.tokens, prefill_tokens, took);
  std::vector<Ended> ended;
  for (const Sampled& sample : sampled) {
    Sequence* sequence = find(sample.id);
    if (sequence == nullptr) continue;
    if (!sequence->first_token) sequence->first_token = now;
    sequence->tokens.push_back(sample.token);
    if (sample.text_event && sequence->metered()) --sequence->credits;
    set_pause(*sequence, now);
    const bool full = sequence->generated() >= sequence->tokens_max;
    if (!sample.stop && !full) continue;
    ended.push_back(
        {sample.id, sample.stop ? EndReason::stop : EndReason::length, facts_of(*sequence, now)});
    const SequenceFacts& facts = ended.back().facts;
    speed_.ended(now, sequence->generated(), facts.prefill_ms + facts.decode_ms);
    release(*sequence);
    sequences_.erase(sample.id);
  }
  return ended;
}

void Scheduler::aborted(const StepPlan& plan, std::span<const std::int32_t> cells_present) {
  for (std::size_t index = 0; index < plan.slices.size(); ++index) {
    const Slice& slice = plan.slices[index];
    Sequence* sequence = find(slice.id);
    if (sequence == nullptr || sequence->slot != slice.slot) continue;
    // The last position is computed again: its logits are gone with the interrupted step.
    const std::int32_t whole = static_cast<std::int32_t>(sequence->tokens.size()) - 1;
    const std::int32_t present = std::clamp(cells_present[index], slice.begin, slice.end);
    const std::int32_t kept = std::min(present, whole);
    prefill_tokens_ += static_cast<std::uint64_t>(kept - slice.begin);
    cells_used_ += kept - sequence->computed;
    sequence->computed = kept;
  }
}

std::vector<SequenceId> Scheduler::no_room(const StepPlan& plan) {
  if (running_.size() > 1) {
    StepPlan ignored;
    Sequence* loser = victim(nullptr, true, base::TimePoint::max());
    if (loser == nullptr) loser = victim(nullptr, false, base::TimePoint::max());
    preempt(*loser, ignored);
    return {};
  }
  if (plan.tokens > 1) {
    chunk_limit_ = plan.tokens / 2;
    return {};
  }
  std::vector<SequenceId> failed;
  for (const Slice& slice : plan.slices) {
    if (cancel(slice.id)) failed.push_back(slice.id);
  }
  return failed;
}

void Scheduler::set_pause(Sequence& sequence, base::TimePoint now) {
  if (!sequence.paused()) {
    sequence.paused_since.reset();
  } else if (!sequence.paused_since) {
    sequence.paused_since = now;
  }
}

std::span<const Token> Scheduler::tokens(SequenceId id) const {
  const auto entry = sequences_.find(id);
  if (entry == sequences_.end()) return {};
  return entry->second.tokens;
}

std::int32_t Scheduler::computed(SequenceId id) const {
  const auto entry = sequences_.find(id);
  return entry == sequences_.end() ? 0 : entry->second.computed;
}

std::optional<SequenceFacts> Scheduler::facts(SequenceId id, base::TimePoint now) const {
  const auto entry = sequences_.find(id);
  if (entry == sequences_.end()) return std::nullopt;
  return facts_of(entry->second, now);
}

SequenceFacts Scheduler::facts_of(const Sequence& sequence, base::TimePoint now) const {
  SequenceFacts facts;
  facts.prompt_tokens = static_cast<std::int64_t>(sequence.spec.prompt.size());
  facts.completion_tokens = sequence.generated();
  const base::TimePoint admitted = sequence.admitted.value_or(now);
  const base::TimePoint first = sequence.first_token.value_or(now);
  facts.queue_ms = milliseconds_between(sequence.spec.arrival, admitted);
  facts.prefill_ms = milliseconds_between(admitted, first);
  facts.decode_ms = milliseconds_between(first, now);
  return facts;
}

// Cells that are taken or will be, by the prompts of those who run.
std::int32_t Scheduler::cells_promised() const {
  std::int32_t cells = cells_used_;
  for (const auto& [key, id] : running_) cells += sequences_.at(id).missing();
  return cells;
}

std::chrono::milliseconds Scheduler::retry_after() const {
  std::int64_t prompt_tokens = 0;
  for (const auto& [key, id] : running_) {
    const Sequence& sequence = sequences_.at(id);
    if (!sequence.decoding()) prompt_tokens += sequence.missing();
  }
  return speed_.until_free(static_cast<std::int32_t>(running_.size()), prompt_tokens);
}

std::optional<base::TimePoint> Scheduler::next_wakeup() const {
  std::optional<base::TimePoint> wakeup;
  const auto consider = [&](base::TimePoint time) {
    if (time > last_plan_ && (!wakeup || time < *wakeup)) wakeup = time;
  };
  for (const auto& [key, id] : waiting_) {
    const Sequence& sequence = sequences_.at(id);
    if (!sequence.started && sequence.spec.deadline) consider(*sequence.spec.deadline);
  }
  if (waiting_.empty()) return wakeup;
  for (const auto& [key, id] : running_) {
    const Sequence& sequence = sequences_.at(id);
    if (sequence.paused_since) consider(*sequence.paused_since + options_.pause_grace);
  }
  return wakeup;
}

SchedulerLoad Scheduler::load() const {
  SchedulerLoad load;
  load.running = static_cast<std::int32_t>(running_.size());
  load.waiting = static_cast<std::int32_t>(waiting_.size());
  for (const auto& [key, id] : running_) {
    const Sequence& sequence = sequences_.at(id);
    if (sequence.paused()) ++load.paused;
    if (!sequence.decoding()) load.unread_tokens += sequence.missing();
  }
  for (const auto& [key, id] : waiting_) load.unread_tokens += sequences_.at(id).missing();
  load.prefill_tokens_per_second = speed_.prefill_tokens_per_second().value_or(0);
  load.answer_ms = speed_.answer_ms().value_or(0);
  load.cells_used = cells_used_;
  load.prefill_tokens = prefill_tokens_;
  load.decode_tokens = decode_tokens_;
  load.preemptions = preemptions_;
  return load;
}

Scheduler::Sequence* Scheduler::find(SequenceId id) {
  const auto entry = sequences_.find(id);
  return entry == sequences_.end() ? nullptr : &entry->second;
}

}  // namespace deepseek::engine
