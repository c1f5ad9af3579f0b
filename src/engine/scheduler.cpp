// What comes in and goes out; which step is next is decided in scheduler_plan.cpp.
#include "engine/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

// Of the pool. Attention passes over the cells of others quickly, but not for nothing.
constexpr std::int32_t kRestingPercent = 25;

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

KvPoolOptions pool_options(const SchedulerOptions& options, const StateMemory* states) {
  KvPoolOptions pool;
  pool.slots = std::max(options.slots, options.sequences_max);
  pool.cells = options.cells;
  const bool saves = states != nullptr && states->keeps();
  pool.saved_min = saves && options.sharing != PrefixSharing::none ? states->tokens_min() : 0;
  pool.resting_cells_max =
      options.sharing == PrefixSharing::none ? 0 : options.cells / 100 * kRestingPercent;
  return pool;
}

StepBudget::Options budget_options(const SchedulerOptions& options) {
  StepBudget::Options budget;
  budget.target_gap = options.target_token_gap;
  budget.tokens_max = std::min(options.prefill_chunk, options.step_tokens_max);
  budget.tokens_min = std::min(budget.tokens_min, budget.tokens_max);
  return budget;
}

// With nobody to disturb a step may take longer, but not so long that who comes meanwhile waits.
StepBudget::Options idle_budget_options(const SchedulerOptions& options) {
  StepBudget::Options budget;
  budget.target_gap = 4 * options.target_token_gap;
  budget.tokens_max = budget.tokens_first = options.step_tokens_max;
  budget.tokens_min = std::min(128, options.step_tokens_max);
  return budget;
}

std::string owner_of(const SequenceSpec& spec, PrefixSharing sharing) {
  switch (sharing) {
    case PrefixSharing::none:
      return std::to_string(spec.id);
    case PrefixSharing::user:
      return spec.tenant + '\0' + spec.user_id;
    case PrefixSharing::tenant:
      return spec.tenant;
    case PrefixSharing::all:
      break;
  }
  return {};
}

// Sequences of the same key share their cells. No name holds a byte 0.
std::string make_cache_key(const SequenceSpec& spec, PrefixSharing sharing) {
  std::string key = owner_of(spec, sharing);
  if (spec.adapter != 0) key += '\0' + std::string("adapter ") + std::to_string(spec.adapter);
  return key;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, StateMemory* states)
    : options_(options),
      states_(states),
      pool_(pool_options(options, states)),
      budget_(budget_options(options)),
      idle_budget_(idle_budget_options(options)) {
  if (!options_.window.on() || options_.window.cells_max() > options_.cells) {
    options_.window.tokens = 0;
    options_.context_max = std::min(options_.context_max, options_.cells);
  }
}

base::Result<void> Scheduler::submit(SequenceSpec spec) {
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
  const SequenceId id = spec.id;
  Sequence sequence;
  sequence.tokens = spec.prompt;
  sequence.cache_key = make_cache_key(spec, options_.sharing);
  const std::int32_t room = options_.context_max - static_cast<std::int32_t>(spec.prompt.size());
  sequence.tokens_max = spec.tokens_max > 0 ? std::min(spec.tokens_max, room) : room;
  sequence.credits = spec.credits;
  sequence.spec = std::move(spec);
  const AttentionWindow& window = options_.window;
  if (window.on() && sequence.size() > window.cells_max()) {
    if (sequence.spec.tells_prompt) return context_error(sequence.spec, window.cells_max());
    drop_tokens(sequence, sequence.size() - window.sinks - window.tokens);
  }
  Sequence& kept = sequences_.emplace(id, std::move(sequence)).first->second;
  shares_.enter(kept.spec.tenant, kept.spec.user_id, kept.spec.weight);
  waiting_.push_back(&kept);
  ++waiting_fresh_;
  return {};
}

// What comes behind is no beginning of anybody's prompt.
void Scheduler::drop_tokens(Sequence& sequence, std::int32_t count) {
  const auto first = sequence.tokens.begin() + options_.window.sinks;
  sequence.tokens.erase(first, first + count);
  sequence.dropped += count;
  sequence.lookup.reset();
  sequence.cache_key = private_key(sequence.spec.id);
}

bool Scheduler::cancel(SequenceId id) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return false;
  forget(*sequence);
  return true;
}

bool Scheduler::discard(SequenceId id) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return false;
  if (sequence->slot >= 0) pool_.clear(sequence->slot);
  forget(*sequence);
  return true;
}

void Scheduler::add_credit(SequenceId id, std::int32_t credits) {
  Sequence* sequence = find(id);
  if (sequence == nullptr) return;
  sequence->credits += credits;
  if (!sequence->paused()) sequence->paused_since.reset();
}

void Scheduler::spend_credit(SequenceId id, base::TimePoint now) {
  Sequence* sequence = find(id);
  if (sequence == nullptr || !sequence->metered()) return;
  --sequence->credits;
  set_pause(*sequence, now);
}

void Scheduler::await_state(SequenceId id) {
  if (Sequence* sequence = find(id)) sequence->loading = true;
}

void Scheduler::state_is_here(SequenceId id) {
  if (Sequence* sequence = find(id)) sequence->loading = false;
}

void Scheduler::start_over(StepPlan& plan) {
  for (Sequence* sequence : std::vector<Sequence*>(running_)) {
    pool_.clear(sequence->slot);
    preempt(*sequence, plan);
  }
  pool_.drop_resting();
  if (states_ != nullptr) states_->clear();
}

std::vector<CacheChange> Scheduler::save_one() {
  pool_.save_one();
  return pool_.take_changes();
}

std::int32_t Scheduler::cached(SequenceId id) const {
  const Sequence* sequence = find(id);
  if (sequence == nullptr) return 0;
  if (!sequence->reuses()) return sequence->size();  // nothing stored could add to it
  const std::int32_t cells = pool_.find(sequence->cache_key, sequence->tokens).length;
  if (states_ == nullptr) return cells;
  return std::max(cells, states_->find(sequence->cache_key, sequence->tokens).length);
}

// The cells stay in the cache, where others may take them.
void Scheduler::leave_batch(Sequence& sequence, bool first_to_go) {
  std::erase(running_, &sequence);
  pool_.rest(sequence.slot, first_to_go);
  sequence.computed = 0;
  sequence.slot = -1;
}

void Scheduler::forget(Sequence& sequence) {
  if (sequence.slot >= 0) {
    if (sequence.dropped > 0) pool_.clear(sequence.slot);
    leave_batch(sequence, false);
  } else {
    std::erase(waiting_, &sequence);
    if (!sequence.started) --waiting_fresh_;
  }
  shares_.leave(sequence.spec.tenant, sequence.spec.user_id);
  sequences_.erase(sequence.spec.id);
}

void Scheduler::drafted(StepPlan& plan, std::int32_t rounds, std::chrono::nanoseconds took) {
  for (const Slice& slice : plan.slices) {
    if (slice.draft_wanted == 0) continue;
    const auto size = static_cast<std::int32_t>(slice.draft.size());
    plan.tokens += size;
    plan.drafted += size;
  }
  model_gain_.drafted(rounds, took);
}

// What the step computed is in the cache now.
void Scheduler::advance(const StepPlan& plan, std::span<const Sampled> sampled,
                        std::chrono::nanoseconds took) {
  std::int32_t prefill_tokens = 0;
  std::int32_t decode_tokens = 0;
  for (const Slice& slice : plan.slices) {
    std::int32_t right = 0;  // guesses
    while (!sampled.empty() && sampled.front().id == slice.id) {
      sampled = sampled.subspan(1);
      ++right;
    }
    right = std::max(right - 1, 0);
    Sequence* sequence = find(slice.id);
    if (sequence == nullptr || sequence->slot != slice.slot) continue;
    (sequence->decoding() ? decode_tokens : prefill_tokens) += slice.size() + right;
    pool_.extend(slice.slot, std::span(sequence->tokens)
                                 .subspan(static_cast<std::size_t>(slice.begin),
                                          static_cast<std::size_t>(slice.size())));
    pool_.extend(slice.slot, std::span(slice.draft).first(static_cast<std::size_t>(right)));
    sequence->computed = slice.end + right;
    sequence->told = std::max(sequence->told, std::min(slice.end, sequence->prompt_size()));
    if (!slice.draft.empty()) pool_.cut(slice.slot);
    if (slice.draft_wanted > 0 && !slice.draft.empty()) {
      model_gain_.compared(static_cast<std::int32_t>(slice.draft.size()), right);
    }
    drafted_tokens_ += slice.draft.size();
    accepted_tokens_ += static_cast<std::uint64_t>(right);
  }
  decode_tokens_ += static_cast<std::uint64_t>(decode_tokens);
  prefill_tokens_ += static_cast<std::uint64_t>(prefill_tokens);
  speed_.step(plan.tokens, prefill_tokens, took);
  if (prefill_tokens == 0) gain_.stepped(plan.tokens, took);
  (decode_tokens > 0 ? budget_ : idle_budget_).measured(prefill_tokens, took);
}

std::vector<Ended> Scheduler::complete(const StepPlan& plan, std::span<const Sampled> sampled,
                                       base::TimePoint now, std::chrono::nanoseconds took) {
  if (chunk_limit_ > 0) {
    chunk_limit_ = chunk_limit_ * 2 >= options_.step_tokens_max ? 0 : chunk_limit_ * 2;
  }
  advance(plan, sampled, took);
  std::vector<Ended> ended;
  for (const Sampled& sample : sampled) {
    Sequence* sequence = find(sample.id);
    if (sequence == nullptr) continue;
    if (!sequence->first_token) sequence->first_token = now;
    sequence->tokens.push_back(sample.token);
    if (sequence->lookup) {
      if (const auto outcome = sequence->lookup->follow(sequence->tokens)) gain_.guessed(*outcome);
    }
    shares_.charge(sequence->spec.tenant, sequence->spec.user_id, kAnswerTokenCost);
    if (sample.text_event && sequence->metered()) --sequence->credits;
    set_pause(*sequence, now);
    const bool full = sequence->generated() >= sequence->tokens_max;
    if (!sample.stop && !full) continue;
    ended.push_back(
        {sample.id, sample.stop ? EndReason::stop : EndReason::length, facts_of(*sequence, now)});
    const SequenceFacts& facts = ended.back().facts;
    speed_.ended(now, sequence->generated(), facts.prefill_ms + facts.decode_ms);
    forget(*sequence);
  }
  return ended;
}

void Scheduler::aborted(const StepPlan& plan, std::span<const std::int32_t> cells_present) {
  for (std::size_t index = 0; index < plan.slices.size(); ++index) {
    const Slice& slice = plan.slices[index];
    Sequence* sequence = find(slice.id);
    if (sequence == nullptr || sequence->slot != slice.slot) continue;
    // The last position is computed again: its logits are gone with the interrupted step.
    const std::int32_t whole = sequence->untold() ? sequence->told : sequence->size() - 1;
    const std::int32_t present = std::clamp(cells_present[index], slice.begin, slice.end);
    const std::int32_t kept = std::max(std::min(present, whole), sequence->computed);
    const auto fresh = static_cast<std::size_t>(kept - sequence->computed);
    prefill_tokens_ += fresh;
    pool_.extend(
        slice.slot,
        std::span(sequence->tokens).subspan(static_cast<std::size_t>(sequence->computed), fresh));
    sequence->computed = kept;
  }
}

std::vector<SequenceId> Scheduler::no_room(const StepPlan& plan) {
  if (pool_.drop_resting()) return {};
  if (running_.size() > 1) {
    StepPlan ignored;
    Sequence* loser = paused_victim(Sequence{}, base::TimePoint::max());
    if (loser == nullptr) loser = last_running(nullptr);
    pool_.clear(loser->slot);
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
  const Sequence* sequence = find(id);
  return sequence == nullptr ? std::span<const Token>() : sequence->tokens;
}

std::int32_t Scheduler::computed(SequenceId id) const {
  const Sequence* sequence = find(id);
  return sequence == nullptr ? 0 : sequence->computed;
}

std::optional<SequenceFacts> Scheduler::facts(SequenceId id, base::TimePoint now) const {
  const Sequence* sequence = find(id);
  if (sequence == nullptr) return std::nullopt;
  return facts_of(*sequence, now);
}

SequenceFacts Scheduler::facts_of(const Sequence& sequence, base::TimePoint now) const {
  SequenceFacts facts;
  facts.prompt_tokens = static_cast<std::int64_t>(sequence.spec.prompt.size());
  facts.cached_tokens = sequence.cached;
  facts.completion_tokens = sequence.generated();
  const base::TimePoint admitted = sequence.admitted.value_or(now);
  const base::TimePoint first = sequence.first_token.value_or(now);
  facts.queue_ms = milliseconds_between(sequence.spec.arrival, admitted);
  facts.prefill_ms = milliseconds_between(admitted, first);
  facts.decode_ms = milliseconds_between(first, now);
  return facts;
}

// Tokens of prompts that those who run have not read yet.
std::int64_t Scheduler::unread_prompts() const {
  std::int64_t tokens = 0;
  for (const Sequence* sequence : running_) {
    if (!sequence->decoding()) tokens += sequence->missing();
  }
  return tokens;
}

std::chrono::milliseconds Scheduler::retry_after() const {
  return speed_.until_free(static_cast<std::int32_t>(running_.size()), unread_prompts());
}

std::optional<base::TimePoint> Scheduler::next_wakeup() const {
  std::optional<base::TimePoint> wakeup;
  const auto consider = [&](base::TimePoint time) {
    if (time > now_ && (!wakeup || time < *wakeup)) wakeup = time;
  };
  for (const Sequence* sequence : waiting_) {
    if (!sequence->started && sequence->spec.deadline) consider(*sequence->spec.deadline);
  }
  if (waiting_.empty()) return wakeup;
  if (const auto until = gathering_until()) consider(*until);
  for (const Sequence* sequence : running_) {
    if (sequence->paused_since) consider(*sequence->paused_since + options_.pause_grace);
  }
  return wakeup;
}

SchedulerLoad Scheduler::load() const {
  SchedulerLoad load;
  load.running = static_cast<std::int32_t>(running_.size());
  load.waiting = static_cast<std::int32_t>(waiting_.size());
  for (const Sequence* sequence : running_) load.paused += sequence->paused() ? 1 : 0;
  load.unread_tokens = unread_prompts();
  for (const Sequence* sequence : waiting_) load.unread_tokens += sequence->missing();
  load.prefill_tokens_per_second = speed_.prefill_tokens_per_second().value_or(0);
  load.answer_ms = speed_.answer_ms().value_or(0);
  load.cells_used = pool_.busy();
  load.cells_resting = pool_.used() - pool_.busy();
  load.prefill_tokens = prefill_tokens_;
  load.decode_tokens = decode_tokens_;
  load.cached_tokens = cached_tokens_;
  load.evicted_cells = pool_.evicted_cells();
  load.preemptions = preemptions_;
  load.drafted_tokens = drafted_tokens_;
  load.accepted_tokens = accepted_tokens_;
  return load;
}

std::vector<SequenceView> Scheduler::view() const {
  const auto state = [](const Sequence& sequence) -> std::string_view {
    if (sequence.paused()) return "paused";
    if (sequence.slot >= 0) return sequence.decoding() ? "generating" : "reading";
    if (sequence.started) return "preempted";
    if (sequence.loading) return "loading";  // a stored prefix
    return sequence.leader != 0 ? "sharing" : "waiting";
  };
  std::vector<SequenceView> all;
  all.reserve(sequences_.size());
  for (const auto* group : {&running_, &waiting_}) {
    for (const Sequence* sequence : *group) {
      const SequenceSpec& spec = sequence->spec;
      all.push_back({spec.id, state(*sequence), spec.tenant, spec.user_id, spec.priority,
                     spec.arrival, static_cast<std::int64_t>(spec.prompt.size()), sequence->cached,
                     sequence->generated(), sequence->computed});
    }
  }
  return all;
}

Scheduler::Sequence* Scheduler::find(SequenceId id) {
  const auto entry = sequences_.find(id);
  return entry == sequences_.end() ? nullptr : &entry->second;
}

const Scheduler::Sequence* Scheduler::find(SequenceId id) const {
  const auto entry = sequences_.find(id);
  return entry == sequences_.end() ? nullptr : &entry->second;
}

}  // namespace deepseek::engine
