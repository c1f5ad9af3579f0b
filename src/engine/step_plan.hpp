// The values that go into the engine's scheduler and come out of it.
//
// Plain; see scheduler.hpp.
#pragma once

#include "base/clock.hpp"
#include "engine/attention_window.hpp"
#include "engine/kv_pool.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

using SequenceId = std::uint64_t;

// So many more tokens than the cells must a state have to be worth putting back.
inline constexpr std::int32_t kRestoredMin = 64;

// The key of a sequence that shares its cells with nobody and has nothing that others could begin
// with. No tenant's name begins with a byte 1.
inline std::string private_key(SequenceId id) {
  return '\1' + std::to_string(id);
}
inline bool is_private(const std::string& key) {
  return key.starts_with('\1');
}

// Whose prompts may share what was computed for one of them.
enum class PrefixSharing { none, user, tenant, all };

struct SchedulerOptions {
  std::int32_t sequences_max = 16;     // of the batch
  std::int32_t slots = 64;             // sequences of the model's cache, those at rest included
  std::int32_t queue_max = 256;        // requests that wait; preempted ones do not count
  std::int32_t cells = 8192;           // KV cells of the pool
  std::int32_t context_max = 8192;     // tokens of one sequence, prompt and answer
  std::int32_t step_tokens_max = 512;  // tokens of one step
  std::int32_t prefill_chunk = 512;    // most prefill tokens of a step in which somebody decodes
  base::Milliseconds target_token_gap{100};   // between two tokens of an answer
  base::Milliseconds pause_grace{1000};       // a paused sequence keeps its cells so long if
                                              // others wait
  base::Milliseconds priority_aging{10'000};  // of waiting that make up for one priority
  std::int32_t batch_min = 1;                 // an idle engine begins with so many requests,
  base::Milliseconds batch_wait{10};          // or when one has waited so long
  PrefixSharing sharing = PrefixSharing::user;
  std::int32_t draft_max = 0;     // guessed tokens of one sequence in a step; 0: none are computed
  std::int32_t outputs_max = 64;  // rows of logits of one step
  AttentionWindow window{};
  bool draft_model = false;  // there is one, for those who cannot be guessed for by lookup
};

struct SequenceSpec {
  SequenceId id = 0;
  std::vector<Token> prompt;
  std::int32_t tokens_max = 0;  // of the answer; 0: until the context is full
  std::int32_t priority = 0;    // within its tenant; higher goes first
  std::string tenant;
  double weight = 1;    // the tenant's share beside others
  std::string user_id;  // users of one tenant share what it gets
  // Nothing that others computed is used: in another company the same numbers round differently,
  // and who gives a seed asks for the same answer again.
  bool reads_all = false;
  bool tells_prompt = false;  // logits of all of the prompt are wanted; with reads_all
  std::int32_t adapter = 0;   // number of a LoRA adapter; 0: none
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
  bool wants_logits = false;      // the next token is chosen behind it and behind all of the draft
  std::int32_t outputs = 0;       // of its last tokens, so many have logits
  bool decodes = false;           // one token behind those that were generated
  std::int32_t adapter = 0;       // the sequence's
  std::vector<Token> draft{};     // guesses of what comes behind it; computed in the same step
  std::int32_t draft_wanted = 0;  // so many may a draft model put there

  std::int32_t size() const { return end - begin; }  // without the draft
  bool operator==(const Slice&) const = default;
};

struct StepPlan {
  std::vector<CacheChange> changes;   // of the model's cache, in order, before the slices run
  std::vector<Slice> slices;          // those who decode, then those who read their prompts
  std::vector<SequenceId> admitted;   // first time in the batch; not after a preemption
  std::vector<SequenceId> dropped;    // their queue deadline has passed; they are gone
  std::vector<SequenceId> preempted;  // back in the queue
  std::int32_t tokens = 0;
  std::int32_t decoding = 0;  // of the slices, those that decode
  std::int32_t drafted = 0;   // of the tokens, guesses
};

enum class EndReason { stop, length };

// Where a sequence's time went and what it used.
struct SequenceFacts {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt: found in the cache when it was admitted
  std::int64_t completion_tokens = 0;
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

// Behind a draft there is one more than guesses that were right, in order.
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

// One sequence as an operator sees it.
struct SequenceView {
  SequenceId id = 0;
  std::string_view state;  // waiting, loading, sharing, preempted, reading, generating, paused
  std::string_view tenant;
  std::string_view user_id;
  std::int32_t priority = 0;
  base::TimePoint arrival{};
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int32_t cells = 0;
};

struct SchedulerLoad {
  std::int32_t running = 0;
  std::int32_t waiting = 0;
  std::int32_t paused = 0;
  std::int32_t cells_used = 0;     // by those who run; shared ones count once
  std::int32_t cells_resting = 0;  // kept for requests to come
  std::uint64_t prefill_tokens = 0;
  std::uint64_t decode_tokens = 0;
  std::uint64_t cached_tokens = 0;  // of prompts that need not be read
  std::uint64_t evicted_cells = 0;
  std::uint64_t drafted_tokens = 0;
  std::uint64_t accepted_tokens = 0;  // of those
  std::uint64_t preemptions = 0;
  std::int64_t unread_tokens = 0;        // of prompts, running and waiting
  double prefill_tokens_per_second = 0;  // measured; 0: not yet
  double answer_ms = 0;                  // how long a sequence keeps its place; 0: not known yet
};

}  // namespace deepseek::engine
