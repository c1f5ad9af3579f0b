// What the next step computes; the rest of the scheduler is in scheduler.cpp.
#include "engine/scheduler.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace deepseek::engine {
namespace {

// Room left for each running sequence when another is admitted, so that it is not preempted again
// a few tokens later.
constexpr std::int32_t kGrowthCells = 16;
// So much more must a tenant (or a user) have been served before another takes its place in the
// batch: small, since a preempted sequence keeps its cells while nobody needs them.
constexpr double kServedLead = 64;
// So much longer than a step without guesses may one with them be, if it is over the target
// already.
constexpr double kDraftedLonger = 1.5;
constexpr double kTargetMissed = 1.5;
// Tokens of a prompt: a whole tile of llama.cpp's attention on a CPU.
constexpr std::int32_t kGoodPiece = 64;
// Fewer common tokens are not worth waiting for.
constexpr std::int32_t kLedMin = 32;

}  // namespace

bool Scheduler::Rank::operator<(const Rank& other) const {
  return std::tie(tenant_served, tenant, other.priority, user_served, deadline, arrival, id) <
         std::tie(other.tenant_served, other.tenant, priority, other.user_served, other.deadline,
                  other.arrival, other.id);
}

// Waiting adds to the priority, so that a low one is not passed over for ever.
std::int64_t Scheduler::priority_of(const Sequence& sequence) const {
  const auto waited = std::max(now_ - sequence.spec.arrival, base::TimePoint::duration::zero());
  const std::int64_t aged =
      options_.priority_aging.count() > 0 ? waited / options_.priority_aging : 0;
  return sequence.spec.priority + aged;
}

Scheduler::Rank Scheduler::rank_of(const Sequence& sequence) const {
  const SequenceSpec& spec = sequence.spec;
  return {shares_.of_tenant(spec.tenant),
          spec.tenant,
          priority_of(sequence),
          shares_.of_user(spec.tenant, spec.user_id),
          spec.deadline.value_or(base::TimePoint::max()),
          spec.arrival,
          spec.id};
}

std::vector<Scheduler::Ranked> Scheduler::ranked(const std::vector<Sequence*>& sequences) const {
  std::vector<Ranked> order;
  order.reserve(sequences.size());
  for (Sequence* sequence : sequences) order.push_back({rank_of(*sequence), sequence});
  sort_from(order, 0);
  return order;
}

void Scheduler::sort_from(std::vector<Ranked>& order, std::size_t first) const {
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(first), order.end(),
            [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
}

// How much more the other's tenant, or its user if the tenant is the same, has been served.
double Scheduler::lead_of(const Sequence& sequence, const Sequence& other) const {
  const SequenceSpec& own = sequence.spec;
  const SequenceSpec& its = other.spec;
  if (own.tenant != its.tenant) {
    return shares_.of_tenant(its.tenant) - shares_.of_tenant(own.tenant);
  }
  return shares_.of_user(its.tenant, its.user_id) - shares_.of_user(own.tenant, own.user_id);
}

// True if `holder`, which runs, must make way for `wants`: its tenant (or user, within one tenant)
// has been served more, and would have the larger part of the batch even then. So nobody's only
// sequence is pushed out, and two that are equal do not push each other out in turn.
bool Scheduler::must_yield(const Sequence& holder, const Sequence& wants) const {
  const double lead = lead_of(wants, holder);
  if (lead < 0) return false;
  const bool one_tenant = wants.spec.tenant == holder.spec.tenant;
  const auto places = [&](const SequenceSpec& owner) {
    return std::count_if(running_.begin(), running_.end(), [&](const Sequence* sequence) {
      return sequence->spec.tenant == owner.tenant &&
             (!one_tenant || sequence->spec.user_id == owner.user_id);
    });
  };
  const auto share = [&](std::ptrdiff_t count, const SequenceSpec& owner) {
    return static_cast<double>(count) / (one_tenant ? 1 : std::max(owner.weight, 1e-6));
  };
  const std::ptrdiff_t held = places(wants.spec);
  // Who has nothing yet need not wait until the others have had more.
  if (held > 0 && lead < kServedLead) return false;
  const std::ptrdiff_t wanted = held + (wants.slot < 0 ? 1 : 0);
  return share(places(holder.spec), holder.spec) > share(wanted, wants.spec);
}

// May take the other's cells.
bool Scheduler::outranks(const Sequence& sequence, const Sequence& other) const {
  const bool one_tenant = sequence.spec.tenant == other.spec.tenant;
  const std::int64_t more = one_tenant ? priority_of(sequence) - priority_of(other) : 0;
  if (more != 0) return more > 0;
  if (must_yield(other, sequence)) return true;
  if (must_yield(sequence, other)) return false;
  return std::tie(sequence.spec.arrival, sequence.spec.id) <
         std::tie(other.spec.arrival, other.spec.id);
}

StepPlan Scheduler::plan(base::TimePoint now) {
  now_ = now;
  StepPlan plan;
  drop_expired(plan);
  const auto gathering = gathering_until();
  if (!gathering || *gathering <= now) {
    slide_windows(plan);
    plan_decode(plan);
    plan_prefill(plan);
    plan_drafts(plan);
  }
  plan.changes = pool_.take_changes();
  return plan;
}

// Who has filled its window loses some of the tokens behind the first few.
void Scheduler::slide_windows(StepPlan& plan) {
  const AttentionWindow& window = options_.window;
  if (!window.on()) return;
  for (Sequence* sequence : std::vector<Sequence*>(running_)) {
    if (window_room(*sequence) > 0) continue;
    const std::int32_t cost = pool_.slide_cost(sequence->slot, window.dropped());
    if (cost > 0 && !make_room(*sequence, cost, plan)) {
      preempt(*sequence, plan);
      continue;
    }
    sequence->computed -= window.dropped();
    drop_tokens(*sequence, window.dropped());
    pool_.slide(sequence->slot, window.sinks, window.dropped(), sequence->cache_key);
  }
}

// How many more cells the sequence may have before its window slides.
std::int32_t Scheduler::window_room(const Sequence& sequence) const {
  if (!options_.window.on()) return options_.context_max;
  return options_.window.cells_max() - sequence.computed;
}

// With nobody running and too few waiting, the time at which those few begin all the same.
std::optional<base::TimePoint> Scheduler::gathering_until() const {
  if (!running_.empty() || waiting_.empty()) return std::nullopt;
  if (waiting_.size() >= static_cast<std::size_t>(options_.batch_min)) return std::nullopt;
  base::TimePoint oldest = base::TimePoint::max();
  for (const Sequence* sequence : waiting_) oldest = std::min(oldest, sequence->spec.arrival);
  return oldest + options_.batch_wait;
}

void Scheduler::drop_expired(StepPlan& plan) {
  for (Sequence* sequence : std::vector<Sequence*>(waiting_)) {
    if (sequence->started || !sequence->spec.deadline || *sequence->spec.deadline > now_) continue;
    plan.dropped.push_back(sequence->spec.id);
    forget(*sequence);
  }
}

void Scheduler::plan_decode(StepPlan& plan) {
  for (const Ranked& ranked : ranked(running_)) {
    Sequence& sequence = *ranked.sequence;
    if (!sequence.decoding() || sequence.paused()) continue;
    if (plan.tokens >= options_.step_tokens_max) break;
    if (make_room(sequence, 1, plan)) {
      take_slice(sequence, 1, plan);
      plan.slices.back().decodes = true;
      ++plan.decoding;
    } else if (running_.size() > 1) {
      preempt(sequence, plan);
    }
  }
}

// Where the next tokens alone take half of the target, and with the smallest piece of a prompt
// miss it by half, the gap cannot be held: then prompts are read in pieces that the kernels like.
std::int32_t Scheduler::least_piece(const StepPlan& plan) const {
  const double per_second = speed_.prefill_tokens_per_second().value_or(0);
  if (plan.decoding == 0 || per_second <= 0) return 0;
  const double smallest = budget_.tokens_min() * 1000 / per_second;
  const double target =
      std::chrono::duration<double, std::milli>(options_.target_token_gap).count();
  const double next = gain_.milliseconds(plan.decoding);
  const bool missed = next > target / 2 && next + smallest > kTargetMissed * target;
  return missed ? std::min(kGoodPiece, options_.prefill_chunk) : 0;
}

std::int32_t Scheduler::prefill_budget(const StepPlan& plan) const {
  const std::int32_t prefill = plan.tokens - plan.decoding;
  const StepBudget& measured = plan.decoding > 0 ? budget_ : idle_budget_;
  const std::int32_t wanted = std::max(measured.tokens(), least_piece(plan));
  std::int32_t budget = std::min(options_.step_tokens_max - plan.tokens, wanted - prefill);
  if (chunk_limit_ > 0) budget = std::min(budget, chunk_limit_ - prefill);
  return budget;
}

// Those who read their prompts and those who wait, in one order: a tenant that was served little
// goes before another's long prompt that is being read.
void Scheduler::plan_prefill(StepPlan& plan) {
  std::vector<Sequence*> candidates;
  for (Sequence* sequence : running_) {
    if (!sequence->decoding() && !sequence->paused()) candidates.push_back(sequence);
  }
  for (Sequence* sequence : waiting_) {
    if (!sequence->paused() && !sequence->loading) candidates.push_back(sequence);
  }
  bool closed = false;  // Nobody overtakes who waits for room.
  std::vector<Ranked> order = ranked(candidates);
  for (std::size_t index = 0; index < order.size() && prefill_budget(plan) > 0; ++index) {
    Sequence& sequence = *order[index].sequence;
    const bool was_preempted = std::find(plan.preempted.begin(), plan.preempted.end(),
                                         sequence.spec.id) != plan.preempted.end();
    if (was_preempted) continue;
    if (sequence.slot < 0) {
      if (closed || held_back(sequence)) continue;
      closed = !admit(sequence, plan);
      if (closed) continue;
    }
    if (!plan_piece(sequence, plan)) continue;
    // It was charged: another tenant may be the next.
    for (std::size_t later = index + 1; later < order.size(); ++later) {
      order[later].rank = rank_of(*order[later].sequence);
    }
    sort_from(order, index + 1);
  }
}

// Guesses are computed where all decode: beside a prompt they would only make its pieces smaller.
void Scheduler::plan_drafts(StepPlan& plan) {
  if (options_.draft_max <= 0 || chunk_limit_ > 0) return;
  if (plan.decoding == 0 || plan.tokens != plan.decoding) return;
  const double target =
      std::chrono::duration<double, std::milli>(options_.target_token_gap).count();
  const double longest = std::max(target, kDraftedLonger * gain_.milliseconds(plan.tokens));
  bool all_looked_up = true;
  for (Slice& slice : plan.slices) {
    Sequence& sequence = *find(slice.id);
    if (sequence.spec.reads_all) continue;  // its company would tell what it says
    if (!plan_lookup(sequence, longest, plan, slice)) all_looked_up = false;
  }
  if (options_.draft_model && !all_looked_up) plan_draft_model(longest, plan);
}

// True if the slice has guesses now.
bool Scheduler::plan_lookup(Sequence& sequence, double longest_ms, StepPlan& plan, Slice& slice) {
  if (!sequence.lookup) {
    sequence.lookup = std::make_unique<PromptLookup>();
    sequence.lookup->follow(sequence.tokens);
  }
  const auto guess = sequence.lookup->guess(sequence.tokens, draft_room(sequence, plan.tokens));
  const auto size = static_cast<std::int32_t>(guess.tokens.size());
  const std::int32_t worth = gain_.worth(guess.match, size);
  if (worth == 0 || gain_.milliseconds(plan.tokens + worth) > longest_ms) return false;
  slice.draft.assign(guess.tokens.begin(), guess.tokens.begin() + worth);
  plan.tokens += worth;
  plan.drafted += worth;
  return true;
}

// Who has no guesses by lookup may have some by the draft model.
void Scheduler::plan_draft_model(double longest_ms, StepPlan& plan) {
  std::vector<Slice*> wishes;
  for (Slice& slice : plan.slices) {
    if (slice.draft.empty() && !find(slice.id)->spec.reads_all) wishes.push_back(&slice);
  }
  DraftModelGain::Step step;
  step.sequences = static_cast<std::int32_t>(wishes.size());
  step.plain_ms = gain_.milliseconds(plan.tokens);
  step.checked_ms = gain_.milliseconds(plan.tokens + 1) - step.plain_ms;
  step.longest_ms = longest_ms;
  const std::int32_t worth = model_gain_.worth(step, options_.draft_max);
  std::int32_t tokens = plan.tokens;
  for (Slice* slice : wishes) {
    slice->draft_wanted = std::min(worth, draft_room(*find(slice->id), tokens));
    tokens += slice->draft_wanted;
  }
}

// How many guessed tokens may be computed for the sequence in a step of so many tokens; nobody
// makes room for them.
std::int32_t Scheduler::draft_room(const Sequence& sequence, std::int32_t tokens) const {
  std::int32_t room =
      std::min({options_.draft_max, window_room(sequence) - 1,
                sequence.tokens_max - sequence.generated() - 1, options_.step_tokens_max - tokens,
                pool_.unused() - tokens, options_.outputs_max - tokens});
  if (sequence.metered()) {
    room = static_cast<std::int32_t>(std::min<std::int64_t>(room, sequence.credits - 1));
  }
  return std::max(room, 0);
}

bool Scheduler::plan_piece(Sequence& sequence, StepPlan& plan) {
  std::int32_t count = std::min(
      {sequence.missing(), prefill_budget(plan), window_room(sequence), tellable(sequence, plan)});
  if (!make_room(sequence, count, plan)) {
    count = std::min(count, pool_.unused() - plan.tokens);
  }
  if (count <= 0) return false;
  take_slice(sequence, count, plan);
  // Each token of the prompt once, however often it must be computed.
  const std::int32_t prompt =
      std::min(sequence.computed + count, static_cast<std::int32_t>(sequence.spec.prompt.size()));
  if (prompt > sequence.charged) {
    shares_.charge(sequence.spec.tenant, sequence.spec.user_id,
                   kPromptTokenCost * (prompt - sequence.charged));
    sequence.charged = prompt;
  }
  return true;
}

// How many tokens may be computed so that there are rows for the logits that are wanted of them,
// and one for everybody else who may come into this step.
std::int32_t Scheduler::tellable(const Sequence& sequence, const StepPlan& plan) const {
  if (!sequence.untold()) return options_.step_tokens_max;
  std::int32_t rows = options_.outputs_max - options_.sequences_max + 1;
  for (const Slice& slice : plan.slices) {
    rows -= std::max(slice.outputs, 1) + static_cast<std::int32_t>(slice.draft.size()) - 1;
  }
  return std::max(sequence.told - sequence.computed, 0) + std::max(rows, 0);
}

// True while somebody reads a prompt that begins as this one: its cells will be shared then.
bool Scheduler::held_back(Sequence& sequence) {
  if (!sequence.reuses()) return false;
  const auto leads = [&](const Sequence& other, std::int32_t common) {
    return other.slot >= 0 && !other.paused() && other.computed < common;
  };
  const Sequence* leader = find(sequence.leader);
  if (leader != nullptr && leads(*leader, sequence.led)) return true;
  sequence.leader = 0;
  const std::span<const Token> own = std::span(sequence.tokens).first(sequence.tokens.size() - 1);
  std::optional<std::int32_t> found;
  for (const Sequence* other : running_) {
    if (other->missing() < kLedMin || other->cache_key != sequence.cache_key) continue;
    if (priority_of(*other) < priority_of(sequence)) continue;
    const std::int32_t common = common_length(other->tokens, own);
    if (common < kLedMin || !leads(*other, common)) continue;
    if (!found) found = pool_.find(sequence.cache_key, sequence.tokens).length;
    if (common - *found < kLedMin) continue;
    sequence.leader = other->spec.id;
    sequence.led = common;
    return true;
  }
  return false;
}

bool Scheduler::fits(const Sequence& sequence) const {
  const auto running = static_cast<std::int32_t>(running_.size());
  if (running >= options_.sequences_max || !pool_.has_slot()) return false;
  std::int32_t promised = running * kGrowthCells;
  for (const Sequence* other : running_) promised += other->missing();
  const std::int32_t shared =
      sequence.reuses() ? pool_.find(sequence.cache_key, sequence.tokens).busy : 0;
  return sequence.size() - shared + promised <= pool_.cells() - pool_.busy();
}

bool Scheduler::admit(Sequence& sequence, StepPlan& plan) {
  while (!fits(sequence)) {
    Sequence* loser = paused_victim(sequence, now_ - options_.pause_grace);
    if (loser == nullptr) loser = overserved(sequence);
    if (loser == nullptr) return false;
    preempt(*loser, plan);
  }
  std::erase(waiting_, &sequence);
  running_.push_back(&sequence);
  sequence.slot = pool_.take(sequence.cache_key, sequence.tokens, sequence.reuses());
  put_back(sequence, plan);
  sequence.computed = pool_.length(sequence.slot);
  if (sequence.started) return true;
  --waiting_fresh_;
  sequence.started = true;
  sequence.admitted = now_;
  sequence.cached = sequence.charged = sequence.computed;
  cached_tokens_ += static_cast<std::uint64_t>(sequence.computed);
  plan.admitted.push_back(sequence.spec.id);
  return true;
}

// What the cells have lost of it, or never had, and memory has.
void Scheduler::put_back(Sequence& sequence, const StepPlan& plan) {
  if (states_ == nullptr || !sequence.reuses()) return;
  StateMemory::Found found = states_->find(sequence.cache_key, sequence.tokens);
  if (found.length < pool_.length(sequence.slot) + kRestoredMin) return;
  // The whole state comes first, and is then cut.
  if (!pool_.make_room(plan.tokens + found.tokens)) return;
  states_->used();
  pool_.restore(sequence.slot, std::move(found.state),
                std::span(sequence.tokens).first(static_cast<std::size_t>(found.length)));
}

bool Scheduler::make_room(const Sequence& wants, std::int32_t cells, StepPlan& plan) {
  while (!pool_.make_room(plan.tokens + cells)) {
    Sequence* loser = paused_victim(wants, base::TimePoint::max());
    if (loser == nullptr) loser = last_running(&wants);
    if (loser == nullptr) return false;
    if (!loser->paused() && !outranks(wants, *loser)) return false;
    preempt(*loser, plan);
  }
  return true;
}

// Of those who are paused since before then, the least entitled.
Scheduler::Sequence* Scheduler::paused_victim(const Sequence& except,
                                              base::TimePoint paused_before) const {
  Sequence* least = nullptr;
  for (Sequence* sequence : running_) {
    if (sequence == &except || !sequence->paused() || !sequence->paused_since) continue;
    if (*sequence->paused_since > paused_before) continue;
    if (least == nullptr || rank_of(*least) < rank_of(*sequence)) least = sequence;
  }
  return least;
}

Scheduler::Sequence* Scheduler::last_running(const Sequence* except) const {
  Sequence* last = nullptr;
  for (Sequence* sequence : running_) {
    if (sequence == except) continue;
    if (last == nullptr || rank_of(*last) < rank_of(*sequence)) last = sequence;
  }
  return last;
}

// The least entitled of those who must make way for this one.
Scheduler::Sequence* Scheduler::overserved(const Sequence& wants) const {
  Sequence* last = nullptr;
  for (Sequence* sequence : running_) {
    const bool lower =
        sequence->spec.tenant != wants.spec.tenant || priority_of(*sequence) <= priority_of(wants);
    if (!lower || !must_yield(*sequence, wants)) continue;
    if (last == nullptr || rank_of(*last) < rank_of(*sequence)) last = sequence;
  }
  return last;
}

void Scheduler::preempt(Sequence& sequence, StepPlan& plan) {
  const auto planned =
      std::find_if(plan.slices.begin(), plan.slices.end(),
                   [&](const Slice& slice) { return slice.id == sequence.spec.id; });
  if (planned != plan.slices.end()) {
    plan.tokens -= planned->size();
    plan.decoding -= planned->decodes ? 1 : 0;
    plan.slices.erase(planned);
  }
  leave_batch(sequence, true);
  waiting_.push_back(&sequence);
  plan.preempted.push_back(sequence.spec.id);
  ++preemptions_;
}

void Scheduler::take_slice(Sequence& sequence, std::int32_t count, StepPlan& plan) {
  Slice slice;
  slice.id = sequence.spec.id;
  slice.slot = sequence.slot;
  slice.begin = sequence.computed;
  slice.end = sequence.computed + count;
  slice.wants_logits = slice.end == sequence.size();
  slice.outputs = slice.wants_logits ? 1 : 0;
  if (sequence.untold()) {
    slice.outputs = std::max(slice.outputs, slice.end - std::max(slice.begin, sequence.told));
  }
  slice.adapter = sequence.spec.adapter;
  plan.slices.push_back(slice);
  plan.tokens += count;
}

}  // namespace deepseek::engine
