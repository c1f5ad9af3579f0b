// The engine's scheduler: decides what the next step computes, who waits, who is preempted.
//
// A pure state machine owned by the engine loop's thread: values go in, plans come out; time is an
// argument and tokens come from outside. It does not know llama.cpp, text or sockets.
//
// One token budget a step: every sequence that decodes gets its token first, then pieces of prompts
// share what the StepBudget leaves. Tenants go by their Virtual Token Counters, then within one of
// them priority (with age), its users' counters, deadline and arrival. What was computed once is
// shared (KvPool): a prompt whose beginning is being read for somebody else waits for it. Without
// room the least entitled sequence is preempted; its cells stay until they are needed, and what
// they lose is computed again from its tokens, so its text goes on as if nothing had happened.
#pragma once

#include "base/result.hpp"
#include "engine/draft_gain.hpp"
#include "engine/draft_model_gain.hpp"
#include "engine/fair_share.hpp"
#include "engine/speed_meter.hpp"
#include "engine/step_budget.hpp"
#include "engine/step_plan.hpp"

#include <span>
#include <unordered_map>

namespace deepseek::engine {

class Scheduler {
 public:
  // `states`, which may be null, must outlive it: what it finds there it has put back.
  explicit Scheduler(const SchedulerOptions& options, StateMemory* states = nullptr);

  // Takes the sequence into the queue. Fails at once with `context_length` (both numbers) where it
  // can never fit, with `queue_full` and an honest retry_after, or `invalid_request` if empty.
  base::Result<void> submit(SequenceSpec spec);

  // Forgets the sequence; false when it is not known (any more). Its cells are kept for others.
  bool cancel(SequenceId id);
  // The same, and nothing of its cells is used again: the model could not compute.
  bool discard(SequenceId id);
  void add_credit(SequenceId id, std::int32_t credits);
  // A text event went out that no Sampled speaks of.
  void spend_credit(SequenceId id, base::TimePoint now);

  // While a stored state is brought to memory for it, the sequence waits.
  void await_state(SequenceId id);
  void state_is_here(SequenceId id);
  // A restore failed: nothing of the cache is trusted any more, and the plan computes nothing.
  void start_over(StepPlan& plan);
  // Changes that save one prefix at rest, while there is nothing else to do; empty: all is saved.
  std::vector<CacheChange> save_one();

  // What has changed since the last plan: to be made before the next, so that it finds the prefixes
  // that were saved.
  std::vector<CacheChange> take_changes() { return pool_.take_changes(); }

  // What the next step computes. Empty slices and no other entries: nothing can be done now.
  StepPlan plan(base::TimePoint now);

  // The draft model's guesses for the slices that wanted some were put into the plan.
  void drafted(StepPlan& plan, std::int32_t rounds, std::chrono::nanoseconds took);

  // The planned step ran: `sampled` has an entry for each slice that wanted logits, in their order,
  // and one more for each of its guesses that was right. Sequences that ended are returned and
  // forgotten.
  std::vector<Ended> complete(const StepPlan& plan, std::span<const Sampled> sampled,
                              base::TimePoint now, std::chrono::nanoseconds took);

  // The step was interrupted: `cells_present` tells for each slice how many of the sequence's
  // positions are in the cache now.
  void aborted(const StepPlan& plan, std::span<const std::int32_t> cells_present);

  // The step found no room although the cells should have sufficed, and computed nothing. Preempts
  // or asks for less next time; a sequence that cannot run even alone is returned and forgotten.
  std::vector<SequenceId> no_room(const StepPlan& plan);

  // The tokens of a sequence, prompt and answer so far, without what the attention window dropped;
  // empty if unknown.
  std::span<const Token> tokens(SequenceId id) const;
  std::int32_t computed(SequenceId id) const;  // its positions in the cache; 0 if unknown
  // Of a known sequence that tells its prompt: positions whose logits earlier steps gave.
  std::int32_t told(SequenceId id) const { return sequences_.at(id).told; }
  // Of a known sequence that waits: how many of its tokens cells or memory have, and who may share
  // them.
  std::int32_t cached(SequenceId id) const;
  const std::string& cache_key(SequenceId id) const { return sequences_.at(id).cache_key; }
  bool known(SequenceId id) const { return sequences_.contains(id); }
  std::optional<SequenceFacts> facts(SequenceId id, base::TimePoint now) const;

  bool idle() const { return sequences_.empty(); }
  // When plan() may have something to do although nothing arrives.
  std::optional<base::TimePoint> next_wakeup() const;
  SchedulerLoad load() const;
  // All sequences, those who run first; views into the scheduler, until its next call.
  std::vector<SequenceView> view() const;
  const FairShare& shares() const { return shares_; }
  const SchedulerOptions& options() const { return options_; }

 private:
  struct Sequence {
    SequenceSpec spec;
    std::vector<Token> tokens;    // prompt and answer, without what was dropped
    std::int32_t dropped = 0;     // tokens behind the first few, by the attention window
    std::string cache_key;        // who may share its cells
    std::int32_t computed = 0;    // positions in the cache
    std::int32_t slot = -1;       // -1: waiting
    std::int32_t tokens_max = 0;  // clamped to the context
    std::int64_t credits = 0;
    std::int32_t cached = 0;               // tokens found in the cache when it was admitted
    std::int32_t told = 0;                 // of the prompt, positions whose logits were given
    std::int32_t charged = 0;              // tokens of the prompt that were charged or cached
    bool started = false;                  // was admitted once
    std::unique_ptr<PromptLookup> lookup;  // while it decodes, if guesses are computed
    bool loading = false;                  // a stored state is being read
    SequenceId leader = 0;  // reads a prompt that begins with the first `led` tokens of this one
    std::int32_t led = 0;
    std::optional<base::TimePoint> admitted;
    std::optional<base::TimePoint> first_token;
    std::optional<base::TimePoint> paused_since;

    std::int32_t size() const { return static_cast<std::int32_t>(tokens.size()); }
    std::int32_t missing() const { return size() - computed; }
    std::int32_t prompt_size() const { return static_cast<std::int32_t>(spec.prompt.size()); }
    bool untold() const { return spec.tells_prompt && told < prompt_size(); }
    std::int32_t generated() const {
      return size() + dropped - static_cast<std::int32_t>(spec.prompt.size());
    }
    // After a preemption the cells are its own.
    bool reuses() const { return (!spec.reads_all || started) && !untold(); }
    bool metered() const { return spec.credits > 0; }
    bool paused() const { return metered() && credits <= 0; }
    bool decoding() const { return slot >= 0 && missing() == 1 && generated() > 0; }
  };
  // Most entitled first; made anew for each plan.
  struct Rank {
    double tenant_served = 0;
    std::string_view tenant;
    std::int64_t priority = 0;  // with what its age adds
    double user_served = 0;
    base::TimePoint deadline{};
    base::TimePoint arrival{};
    SequenceId id = 0;
    bool operator<(const Rank& other) const;
  };
  struct Ranked {
    Rank rank;
    Sequence* sequence = nullptr;
  };

  Rank rank_of(const Sequence& sequence) const;
  std::vector<Ranked> ranked(const std::vector<Sequence*>& sequences) const;
  void sort_from(std::vector<Ranked>& order, std::size_t first) const;
  std::int64_t priority_of(const Sequence& sequence) const;
  double lead_of(const Sequence& sequence, const Sequence& other) const;
  bool must_yield(const Sequence& holder, const Sequence& wants) const;
  bool outranks(const Sequence& sequence, const Sequence& other) const;

  void drop_tokens(Sequence& sequence, std::int32_t count);
  void slide_windows(StepPlan& plan);
  std::int32_t window_room(const Sequence& sequence) const;
  std::optional<base::TimePoint> gathering_until() const;
  void drop_expired(StepPlan& plan);
  void plan_decode(StepPlan& plan);
  void plan_prefill(StepPlan& plan);
  void plan_drafts(StepPlan& plan);
  std::int32_t draft_room(const Sequence& sequence, std::int32_t tokens) const;
  bool plan_lookup(Sequence& sequence, double longest_ms, StepPlan& plan, Slice& slice);
  void plan_draft_model(double longest_ms, StepPlan& plan);
  bool plan_piece(Sequence& sequence, StepPlan& plan);
  std::int32_t tellable(const Sequence& sequence, const StepPlan& plan) const;
  bool admit(Sequence& sequence, StepPlan& plan);
  bool fits(const Sequence& sequence) const;
  void put_back(Sequence& sequence, const StepPlan& plan);
  bool held_back(Sequence& sequence);
  std::int32_t least_piece(const StepPlan& plan) const;
  std::int32_t prefill_budget(const StepPlan& plan) const;
  bool make_room(const Sequence& wants, std::int32_t cells, StepPlan& plan);
  Sequence* paused_victim(const Sequence& except, base::TimePoint paused_before) const;
  Sequence* last_running(const Sequence* except) const;
  Sequence* overserved(const Sequence& wants) const;
  void preempt(Sequence& sequence, StepPlan& plan);
  void take_slice(Sequence& sequence, std::int32_t count, StepPlan& plan);
  void leave_batch(Sequence& sequence, bool first_to_go);
  void forget(Sequence& sequence);
  void advance(const StepPlan& plan, std::span<const Sampled> sampled,
               std::chrono::nanoseconds took);
  void set_pause(Sequence& sequence, base::TimePoint now);
  SequenceFacts facts_of(const Sequence& sequence, base::TimePoint now) const;
  std::int64_t unread_prompts() const;
  std::chrono::milliseconds retry_after() const;
  Sequence* find(SequenceId id);
  const Sequence* find(SequenceId id) const;

  SchedulerOptions options_;
  StateMemory* states_;
  KvPool pool_;
  FairShare shares_;
  StepBudget budget_;       // while somebody decodes
  StepBudget idle_budget_;  // while nobody does
  SpeedMeter speed_;
  DraftGain gain_;
  DraftModelGain model_gain_;
  std::unordered_map<SequenceId, Sequence> sequences_;
  std::vector<Sequence*> running_;  // of sequences_, which keeps them in place
  std::vector<Sequence*> waiting_;
  std::int32_t waiting_fresh_ = 0;  // waiting and never admitted: what queue_max bounds
  std::int32_t chunk_limit_ = 0;    // after no_room(): at most so many prefill tokens; 0: none
  std::uint64_t prefill_tokens_ = 0;
  std::uint64_t decode_tokens_ = 0;
  std::uint64_t cached_tokens_ = 0;
  std::uint64_t preemptions_ = 0;
  std::uint64_t drafted_tokens_ = 0;
  std::uint64_t accepted_tokens_ = 0;
  base::TimePoint now_{};  // of the last plan
};

}  // namespace deepseek::engine
