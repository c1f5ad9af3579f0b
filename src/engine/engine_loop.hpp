// The engine's loop: the one thread that touches the model's context. Takes commands, plans a step,
// decodes, samples, and hands out one message per step with the events of all sequences.
//
// Made and owned by main(); run() belongs to its thread. post(), cancel() and pulse() may be called
// from any thread. It sleeps on a condition variable when there is nothing to do. Texts and tokens
// are prepared by others before they come here, so a long prompt never holds up a step.
#pragma once

#include "base/log.hpp"
#include "engine/answer_text.hpp"
#include "engine/constrained_answer.hpp"
#include "engine/embed_queue.hpp"
#include "engine/mask_maker.hpp"
#include "engine/model_interface.hpp"
#include "engine/prefix_store.hpp"
#include "engine/prompt_echo.hpp"
#include "engine/scheduler.hpp"

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

namespace deepseek::engine {

struct SubmitJob {
  SequenceSpec spec;
  std::unique_ptr<TokenSampler> sampler;
  std::shared_ptr<ConstrainedAnswer> constraint;  // null: any token may come
  AnswerText text;
  std::optional<std::int32_t> logprobs;
  bool count_prompt = true;
  std::optional<PromptEcho> echo;  // the prompt is told first
  bool answers = true;             // false: the prompt alone is wanted
  AnswerText::Output unsent;       // of a resumed answer: text that comes first
  std::optional<EndReason> ended;  // nothing is left to compute
};
struct CancelJob {
  SequenceId id = 0;  // or the number of an Embed call: they share one row of numbers
};
struct CreditJob {
  SequenceId id = 0;
  std::int32_t credits = 0;
};
struct EmbedJob {
  std::uint64_t call = 0;
  std::vector<std::vector<Token>> inputs;
};
struct PingJob {
  std::uint64_t number = 0;
};
struct ShutdownJob {};

// What was read from disk for a sequence; nothing if it is gone or bad.
struct StateJob {
  SequenceId id = 0;
  std::optional<PrefixFile> file;
};

using Job = std::variant<SubmitJob, CancelJob, CreditJob, EmbedJob, PingJob, ShutdownJob, StateJob>;

class EngineLoop {
 public:
  struct Options {
    SchedulerOptions scheduler;
    std::uint64_t state_bytes_max = 0;  // of prefixes in memory whose cells were given up
    EmbedQueue::Options embeds{};
    std::int32_t abort_tokens_min = 32;     // a cancel interrupts only steps larger than this
    base::Milliseconds view_interval{500};  // between two lists of all sequences
    base::Milliseconds save_after{500};     // of idleness: then prefixes at rest are stored
    bool on_gpu = false;                    // then a failed step is blamed on it
  };
  using Sink = std::function<void(const wire::FromEngine&)>;  // called on the loop's thread

  // `embedder` may be null. All must outlive the loop.
  EngineLoop(const Options& options, const TextModel& text, Decoder& decoder, Embedder* embedder,
             Sink sink, base::Logger log);

  // Before run(). The store must end before the loop does: it posts what it has read.
  void use_store(PrefixStore& store) { store_ = &store; }
  // Before run(); with SchedulerOptions::draft_model. It must outlive the loop.
  void use_drafter(Drafter& drafter) { drafter_ = &drafter; }

  // Returns after a ShutdownJob, when all that ran has ended.
  void run();

  void post(Job job);
  // As post(CancelJob), and interrupts the running step if the sequence is in it.
  void cancel(SequenceId id);

  struct Pulse {
    std::optional<base::Milliseconds> step;  // how long the running one takes by now
    base::Milliseconds expected{0};          // at the slowest speed so far; 0: not known
  };
  Pulse pulse(base::TimePoint now) const;

 private:
  struct Running {
    std::unique_ptr<TokenSampler> sampler;
    std::shared_ptr<ConstrainedAnswer> constraint;
    AnswerText text;
    std::optional<std::int32_t> logprobs;
    bool count_prompt = true;
    std::optional<PromptEcho> echo;
    bool answers = true;
    AnswerText::Output unsent;  // goes out with the next token
    bool loading = false;       // a state is being read from disk for it
    std::int64_t reasoning_tokens = 0;
    wire::Delta pending;  // token ids and logprobs whose text is still held back
  };
  std::deque<Job> wait_for_jobs(bool may_sleep);
  void handle(Job job);
  void handle_submit(SubmitJob job);
  void report_ended(SubmitJob job);
  void handle_cancel(std::uint64_t id);
  void handle_embed(EmbedJob job);
  bool step();
  bool change_cache(const std::vector<CacheChange>& changes);
  bool restore(const CacheChange& change);
  void save(const CacheChange& change);
  void look_for_state(SequenceId id);
  void handle_state(StateJob job);
  bool save_one();
  base::TimePoint::duration draft(StepPlan& plan);
  Decoder::Outcome decode(const StepPlan& plan);
  void finish_step(const StepPlan& plan, base::TimePoint started);
  void interrupted(const StepPlan& plan);
  void step_failed(const StepPlan& plan);
  void tell_device_failed();
  void tell_prompt(SequenceId id);
  void tell_prompt(const Slice& slice, std::size_t index, base::TimePoint now);
  void add_echo(SequenceId id, wire::Delta delta);
  void sample(const Slice& slice, std::size_t index, std::vector<Sampled>& sampled);
  Sampled sample_one(SequenceId id, std::span<const float> logits);
  std::optional<Token> choose(Running& running, std::span<const float> logits);
  void begin_mask(const Running& running);
  void add_logprobs(Running& running, std::span<const float> logits, Token token);
  void add_call(SequenceId id, const ToolCallPiece& piece);
  void report_end(const Ended& ended);
  wire::SequenceEvent* add_event(SequenceId id);
  void fail(SequenceId id, const base::Error& error);
  void fail_call(std::uint64_t call, const base::Error& error);
  bool embed_piece();
  Embedder::Progress embed_step();
  void flush();
  void tell_sequences(base::TimePoint now);
  void mark_step(const StepPlan* plan);
  void mark_piece(bool runs);

  Options options_;
  const TextModel& text_;
  Decoder& decoder_;
  Embedder* embedder_;
  PrefixStore* store_ = nullptr;
  Drafter* drafter_ = nullptr;
  Sink sink_;
  base::Logger log_;

  StateMemory states_;
  Scheduler scheduler_;
  std::unordered_map<SequenceId, Running> running_;
  MaskMaker masks_;
  EmbedQueue embeds_;
  wire::FromEngine message_;  // the step that is being made
  std::uint64_t steps_ = 0;
  std::array<std::uint64_t, 9> batch_sizes_{};  // steps by sequences: 1, 2, to 4, 8 … 256
  double step_ms_ = 0;
  double slowest_token_ms_ = 0;  // of all steps
  bool stopping_ = false;
  bool was_interrupted_ = false;
  bool device_failed_ = false;  // nothing is computed any more; the server ends this process
  bool saved_all_ = true;       // nothing at rest waits to be stored
  base::TimePoint last_work_{};
  base::TimePoint last_view_{};
  bool view_empty_ = true;  // the last list was

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;               // guarded by mutex_
  std::vector<SequenceId> in_flight_;  // guarded: sequences of the running step, if interruptible
  std::optional<base::TimePoint> step_started_;  // guarded
  base::Milliseconds step_expected_{0};          // guarded
};

// How an Error looks on the wire.
wire::Failed to_wire(const base::Error& error);

}  // namespace deepseek::engine
