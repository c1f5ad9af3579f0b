// The engine's scheduler: decides what the next step computes, who waits, who is preempted.
//
// A pure state machine owned by the engine loop's thread: values go in, plans come out; time is an
// argument and tokens come from outside. It does not know llama.cpp, text or sockets. One token
// budget a step: every sequence that decodes gets its token first, then prefill pieces share what
// is left; running before waiting, each by (priority, arrival). KV cells are counted exactly; where
// no room is left the least entitled sequence is preempted and computed again later, with the
// tokens that it had, so its text goes on as if nothing had happened.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "engine/speed_meter.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace deepseek::engine {

using SequenceId = std::uint64_t;
using Token = std::int32_t;

struct SchedulerOptions {
  std::int32_t sequences_max = 16;       // slots of the batch
  std::int32_t queue_max = 256;          // requests that wait; preempted ones do not count
  std::int32_t cells = 8192;             // KV cells of the pool
  std::int32_t context_max = 8192;       // tokens of one sequence, prompt and answer
  std::int32_t step_tokens_max = 512;    // tokens of one step
  std::int32_t prefill_chunk = 128;      // prefill tokens of a step in which somebody decodes
  base::Milliseconds pause_grace{1000};  // a paused sequence keeps its cells so long if others wait
};

struct SequenceSpec {
  SequenceId id = 0;
  std::vector<Token> prompt;
  std::int32_t tokens_max = 0;  // of the answer; 0: until the context is full
  std::int32_t priority = 0;    // higher goes first
  std::string tenant;           // fairness keys; not yet weighed
  std::string user_id;
  std::optional<base::TimePoint> deadline;  // of waiting in the queue
  base::TimePoint arrival{};
  std::int32_t credits = 0;             // text events allowed in flight; 0: no limit
  std::string prompt_field = "prompt";  // the request's field that holds it, for refusals
};

struct Slice {
  SequenceId id = 0;
  std::int32_t slot = 0;
  std::int32_t begin = 0;  // positions [begin, end) of the sequence's tokens
  std::int32_t end = 0;
  bool wants_logits = false;

  std::int32_t size() const { return end - begin; }
  bool operator==(const Slice&) const = default;
};

struct StepPlan {
  std::vector<std::int32_t> clears;   // slots whose cells must be freed before the slices run
  std::vector<Slice> slices;          // most entitled first
  std::vector<SequenceId> admitted;   // first time in the batch; not after a preemption
  std::vector<SequenceId> dropped;    // their queue deadline has passed; they are gone
  std::vector<SequenceId> preempted;  // back in the queue
  std::int32_t tokens = 0;
};

enum class EndReason { stop, length };

// Where a sequence's time went and what it used.
struct SequenceFacts {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

struct Sampled {
  SequenceId id = 0;
  Token token = 0;
  bool stop = false;        // an end token or a stop string: the sequence ends here
  bool text_event = false;  // an event with text went out: costs a credit
};

struct Ended {
  SequenceId id = 0;
  EndReason reason = EndReason::stop;
  SequenceFacts facts;
};

struct SchedulerLoad {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  std::int32_t paused = 0;
  std::int32_t cells_used = 0;
  std::uint64_t prefill_tokens = 0;
  std::uint64_t decode_tokens = 0;
  std::uint64_t preemptions = 0;
  std::int64_t unread_tokens = 0;        // of prompts, running and waiting
  double prefill_tokens_per_second = 0;  // measured; 0: not yet
  double answer_ms = 0;                  // how long a sequence keeps its place; 0: not known yet
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // Takes the sequence into the queue. Fails at once with `context_length` (both numbers) where it
  // can never fit, with `queue_full` and an honest retry_after, or `invalid_request` if empty.
  base::Result<void> submit(SequenceSpec spec, base::TimePoint now);

  // Forgets the sequence; false when it is not known (any more). Its cells are cleared by the next
  // plan().
  bool cancel(SequenceId id);
  void add_credit(SequenceId id, std::int32_t credits);

  // What the next step computes. Empty slices and no other entries: nothing can be done now.
  StepPlan plan(base::TimePoint now);

  // The planned step ran: `sampled` has one entry for each slice that wanted logits. Sequences that
  // ended are returned and forgotten; their cells are cleared by the next plan().
  std::vector<Ended> complete(const StepPlan& plan, std::span<const Sampled> sampled,
                              base::TimePoint now, std::chrono::nanoseconds took);

  // The step was interrupted: `cells_present` tells for each slice how many of the sequence's
  // positions are in the cache now.
  void aborted(const StepPlan& plan, std::span<const std::int32_t> cells_present);

  // The step found no room although the cells should have sufficed, and computed nothing. Preempts
  // or asks for less next time; a sequence that cannot run even alone is returned and forgotten.
  std::vector<SequenceId> no_room(const StepPlan& plan);

  // The tokens of a sequence, prompt and answer so far; empty if unknown.
  std::span<const Token> tokens(SequenceId id) const;
  std::int32_t computed(SequenceId id) const;  // its positions in the cache; 0 if unknown
  bool known(SequenceId id) const { return sequences_.contains(id); }
  std::optional<SequenceFacts> facts(SequenceId id, base::TimePoint now) const;

  bool idle() const { return sequences_.empty(); }
  // When plan() may have something to do although nothing arrives.
  std::optional<base::TimePoint> next_wakeup() const;
  SchedulerLoad load() const;
  const SchedulerOptions& options() const { return options_; }

 private:
  struct Sequence {
    SequenceSpec spec;
    std::vector<Token> tokens;    // prompt and answer
    std::int32_t computed = 0;    // positions in the cache
    std::int32_t slot = -1;       // -1: waiting
    std::int32_t tokens_max = 0;  // clamped to the context
    std::int64_t credits = 0;
    bool started = false;  // was admitted once
    std::optional<base::TimePoint> admitted;
    std::optional<base::TimePoint> first_token;
    std::optional<base::TimePoint> paused_since;

    std::int32_t missing() const { return static_cast<std::int32_t>(tokens.size()) - computed; }
    std::int32_t generated() const {
      return static_cast<std::int32_t>(tokens.size() - spec.prompt.size());
    }
    bool metered() const { return spec.credits > 0; }
    bool paused() const { return metered() && credits <= 0; }
    bool decoding() const { return started && missing() == 1 && generated() > 0; }
  };
  // Most entitled first.
  struct Entitlement {
    std::int32_t priority = 0;
    base::TimePoint arrival{};
    SequenceId id = 0;
    bool operator<(const Entitlement& other) const;
  };
  static Entitlement entitlement(const Sequence& sequence);

  void drop_expired(base::TimePoint now, StepPlan& plan);
  void plan_decode(StepPlan& plan);
  void plan_prefill(StepPlan& plan);
  void admit(StepPlan& plan, std::int32_t budget, base::TimePoint now);
  std::int32_t prefill_budget(const StepPlan& plan) const;
  bool make_room(const Sequence& wants, std::int32_t cells, StepPlan& plan);
  Sequence* victim(const Sequence* except, bool paused_only, base::TimePoint paused_before);
  void preempt(Sequence& sequence, StepPlan& plan);
  void take_slice(Sequence& sequence, std::int32_t count, StepPlan& plan);
  void release(Sequence& sequence);
  void set_pause(Sequence& sequence, base::TimePoint now);
  SequenceFacts facts_of(const Sequence& sequence, base::TimePoint now) const;
  std::int32_t cells_promised() const;
  std::chrono::milliseconds retry_after() const;
  Sequence* find(SequenceId id);

  SchedulerOptions options_;
  std::unordered_map<SequenceId, Sequence> sequences_;
  std::map<Entitlement, SequenceId> running_;
  std::map<Entitlement, SequenceId> waiting_;
  std::vector<std::int32_t> free_slots_;
  std::vector<std::int32_t> clears_;
  std::int32_t cells_used_ = 0;
  std::int32_t waiting_fresh_ = 0;  // waiting and never admitted: what queue_max bounds
  std::int32_t chunk_limit_ = 0;    // after no_room(): at most so many prefill tokens; 0: none
  SpeedMeter speed_;
  std::uint64_t prefill_tokens_ = 0;
  std::uint64_t decode_tokens_ = 0;
  std::uint64_t preemptions_ = 0;
  base::TimePoint last_plan_{};
};

}  // namespace deepseek::engine
