#include "engine/engine_loop.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace deepseek::engine {
namespace {

// States that are being read from disk at a time.
constexpr std::ptrdiff_t kReadsMax = 4;

wire::Failed::Code wire_code(base::ErrorCode code) {
  switch (code) {
    case base::ErrorCode::invalid_request:
      return wire::Failed::INVALID_REQUEST;
    case base::ErrorCode::context_length:
      return wire::Failed::CONTEXT_LENGTH;
    case base::ErrorCode::queue_full:
      return wire::Failed::QUEUE_FULL;
    case base::ErrorCode::deadline_exceeded:
      return wire::Failed::DEADLINE_EXCEEDED;
    case base::ErrorCode::cancelled:
      return wire::Failed::CANCELLED;
    case base::ErrorCode::not_implemented:
      return wire::Failed::NOT_IMPLEMENTED;
    default:
      return wire::Failed::INTERNAL;
  }
}

wire::Finished::Reason to_wire(EndReason reason) {
  return reason == EndReason::stop ? wire::Finished::STOP : wire::Finished::LENGTH;
}

}  // namespace

wire::Failed to_wire(const base::Error& error) {
  wire::Failed failed;
  failed.set_code(wire_code(error.code));
  failed.set_message(error.message);
  failed.set_param(error.param);
  if (error.retry_after) failed.set_retry_after_ms(error.retry_after->count());
  return failed;
}

EngineLoop::EngineLoop(const Options& options, const TextModel& text, Decoder& decoder,
                       Embedder* embedder, Sink sink, base::Logger log)
    : options_(options),
      text_(text),
      decoder_(decoder),
      embedder_(embedder),
      sink_(std::move(sink)),
      log_(log),
      states_(options.state_bytes_max),
      scheduler_(options.scheduler, &states_),
      embeds_(options.embeds) {}

void EngineLoop::post(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void EngineLoop::cancel(SequenceId id) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(CancelJob{id});
    if (std::find(in_flight_.begin(), in_flight_.end(), id) != in_flight_.end()) {
      decoder_.abort_flag().store(true, std::memory_order_relaxed);
    }
  }
  wake_.notify_one();
}

EngineLoop::Pulse EngineLoop::pulse(base::TimePoint now) const {
  const std::lock_guard lock(mutex_);
  Pulse pulse;
  if (!step_started_) return pulse;
  pulse.step = std::chrono::duration_cast<base::Milliseconds>(now - *step_started_);
  pulse.expected = step_expected_;
  return pulse;
}

void EngineLoop::run() {
  bool worked = true;
  for (;;) {
    std::deque<Job> jobs = wait_for_jobs(!worked);
    for (Job& job : jobs) handle(std::move(job));
    worked = step();
    worked = embed_piece() || worked;
    flush();
    if (worked) {
      last_work_ = base::now();
      saved_all_ = store_ == nullptr;
    } else if (!saved_all_ && jobs.empty() && base::now() >= last_work_ + options_.save_after) {
      worked = save_one();
      saved_all_ = !worked;
    }
    if (!stopping_ || !scheduler_.idle() || !embeds_.empty()) continue;
    while (save_one()) {
    }
    return;
  }
}

std::deque<Job> EngineLoop::wait_for_jobs(bool may_sleep) {
  std::unique_lock lock(mutex_);
  const auto arrived = [this] { return !jobs_.empty(); };
  if (may_sleep && !arrived()) {
    auto wakeup = scheduler_.next_wakeup();
    if (!saved_all_ && !wakeup) wakeup = last_work_ + options_.save_after;
    if (wakeup) {
      wake_.wait_until(lock, *wakeup, arrived);
    } else {
      wake_.wait(lock, arrived);
    }
  }
  return std::exchange(jobs_, {});
}

void EngineLoop::handle(Job job) {
  if (auto* submit = std::get_if<SubmitJob>(&job)) {
    handle_submit(std::move(*submit));
  } else if (auto* cancel = std::get_if<CancelJob>(&job)) {
    handle_cancel(cancel->id);
  } else if (auto* credit = std::get_if<CreditJob>(&job)) {
    scheduler_.add_credit(credit->id, credit->credits);
  } else if (auto* embed = std::get_if<EmbedJob>(&job)) {
    handle_embed(std::move(*embed));
  } else if (auto* state = std::get_if<StateJob>(&job)) {
    handle_state(std::move(*state));
  } else if (auto* ping = std::get_if<PingJob>(&job)) {
    wire::FromEngine message;
    message.mutable_pong()->set_number(ping->number);
    sink_(message);
  } else {
    stopping_ = true;
  }
}

void EngineLoop::handle_submit(SubmitJob job) {
  const SequenceId id = job.spec.id;
  if (stopping_) {
    return fail(id, base::make_error(base::ErrorCode::cancelled, "The engine is shutting down."));
  }
  if (job.ended) return report_ended(std::move(job));
  const base::Result<void> taken = scheduler_.submit(std::move(job.spec));
  if (taken.has_error()) return fail(id, taken.error());
  Running& running = running_[id];
  running.sampler = std::move(job.sampler);
  running.constraint = std::move(job.constraint);
  running.text = std::move(job.text);
  running.logprobs = job.logprobs;
  running.count_prompt = job.count_prompt;
  running.echo = std::move(job.echo);
  running.answers = job.answers;
  running.unsent = std::move(job.unsent);
  begin_mask(running);
  look_for_state(id);
}

// A resumed answer that had come to its end: nothing is read for it and nothing computed.
void EngineLoop::report_ended(SubmitJob job) {
  const SequenceId id = job.spec.id;
  add_event(id)->mutable_started();
  if (!job.unsent.empty()) {
    wire::Delta* delta = add_event(id)->mutable_delta();
    delta->set_content(std::move(job.unsent.content));
    delta->set_reasoning(std::move(job.unsent.reasoning));
  }
  wire::Finished* finished = add_event(id)->mutable_finished();
  finished->set_reason(to_wire(*job.ended));
  finished->set_stop_sequence(job.text.stop());
}

void EngineLoop::handle_cancel(std::uint64_t id) {
  const base::Error error =
      base::make_error(base::ErrorCode::cancelled, "The request was cancelled.");
  if (scheduler_.cancel(id)) return fail(id, error);
  if (embeds_.remove(id)) fail_call(id, error);
}

void EngineLoop::handle_embed(EmbedJob job) {
  std::optional<base::Error> error;
  if (embedder_ == nullptr) {
    error = base::make_error(base::ErrorCode::invalid_request,
                             "This model is not configured for embeddings.", "model");
  } else if (embeds_.full()) {
    error = base::make_error(base::ErrorCode::queue_full, "Too many embedding calls wait.");
    error->retry_after = base::Milliseconds(1000);
  } else if (stopping_) {
    error = base::make_error(base::ErrorCode::cancelled, "The engine is shutting down.");
  }
  if (error) return fail_call(job.call, *error);
  embeds_.push(job.call, std::move(job.inputs));
}

bool EngineLoop::step() {
  if (device_failed_) return false;
  const base::TimePoint started = base::now();
  change_cache(scheduler_.take_changes());  // of those who left: no restores
  StepPlan plan = scheduler_.plan(started);
  if (!change_cache(plan.changes)) {
    log_.warning("a stored prefix could not be restored; the cache starts anew");
    scheduler_.start_over(plan);
  }
  for (const SequenceId id : plan.dropped) {
    fail(id, base::make_error(base::ErrorCode::deadline_exceeded,
                              "The request waited in the engine's queue for longer than its "
                              "timeout. Try again later."));
  }
  for (const SequenceId id : plan.admitted) {
    const auto facts = scheduler_.facts(id, started);
    wire::Started* told = add_event(id)->mutable_started();
    if (running_.at(id).count_prompt) {
      told->set_prompt_tokens(facts->prompt_tokens);
      told->set_cached_tokens(facts->cached_tokens);
    }
    tell_prompt(id);
  }
  if (plan.slices.empty()) return !plan.preempted.empty() || !plan.dropped.empty();

  mark_step(&plan);
  const auto drafting = draft(plan);
  const Decoder::Outcome outcome = decode(plan);
  switch (outcome) {
    case Decoder::Outcome::done:
      finish_step(plan, started + drafting);  // what it takes to check the guesses
      break;
    case Decoder::Outcome::aborted:
      interrupted(plan);
      break;
    case Decoder::Outcome::failed:
      step_failed(plan);
      break;
    case Decoder::Outcome::no_room:
      for (const SequenceId id : scheduler_.no_room(plan)) {
        fail(id, base::make_error(base::ErrorCode::internal,
                                  "The model's memory has no room for this request."));
      }
      break;
  }
  was_interrupted_ = outcome == Decoder::Outcome::aborted;
  mark_step(nullptr);
  return true;
}

// False if a restore failed: then the changes behind it were not made either.
bool EngineLoop::change_cache(const std::vector<CacheChange>& changes) {
  for (const CacheChange& change : changes) {
    switch (change.kind) {
      case CacheChange::Kind::keep:
        decoder_.keep(change.slot, change.length);
        break;
      case CacheChange::Kind::share:
        decoder_.share(change.slot, change.source, change.length);
        break;
      case CacheChange::Kind::save:
        save(change);
        break;
      case CacheChange::Kind::slide:
        decoder_.slide(change.slot, change.source, change.length);
        break;
      case CacheChange::Kind::restore:
        if (!restore(change)) return false;
        break;
    }
  }
  return true;
}

bool EngineLoop::restore(const CacheChange& change) {
  if (!decoder_.restore(change.slot, *change.state)) return false;
  decoder_.keep(change.slot, change.length);
  return true;
}

void EngineLoop::save(const CacheChange& change) {
  const bool to_memory = states_.wants(change.key, change.tokens);
  const bool to_disk =
      store_ != nullptr && !is_private(change.key) && store_->wants(change.key, change.tokens);
  if (!to_memory && !to_disk) return;
  const State state = std::make_shared<const std::string>(decoder_.save(change.slot));
  if (state->empty()) return;
  if (to_memory) states_.put(change.key, change.tokens, state);
  if (to_disk) store_->put(change.key, change.tokens, state);
}

// Has a state brought from disk to memory for the sequence if that spares it much.
void EngineLoop::look_for_state(SequenceId id) {
  if (store_ == nullptr) return;
  const auto reads = std::count_if(running_.begin(), running_.end(),
                                   [](const auto& entry) { return entry.second.loading; });
  if (reads >= kReadsMax) return;
  const PrefixStore::Found found = store_->find(scheduler_.cache_key(id), scheduler_.tokens(id));
  if (found.length < scheduler_.cached(id) + kRestoredMin) return;
  scheduler_.await_state(id);
  running_.at(id).loading = true;
  store_->load(found,
               [this, id](std::optional<PrefixFile> file) { post(StateJob{id, std::move(file)}); });
}

void EngineLoop::handle_state(StateJob job) {
  if (job.file && states_.wants(job.file->key, job.file->tokens)) {
    states_.put(job.file->key, job.file->tokens,
                std::make_shared<const std::string>(std::move(job.file->state)));
  }
  const auto running = running_.find(job.id);
  if (running == running_.end()) return;
  running->second.loading = false;
  scheduler_.state_is_here(job.id);
}

// With nothing else to do, prefixes at rest are stored one by one.
bool EngineLoop::save_one() {
  if (store_ == nullptr || !scheduler_.idle()) return false;
  const std::vector<CacheChange> changes = scheduler_.save_one();
  change_cache(changes);
  return !changes.empty();
}

// Publishes which step runs, for cancel() and pulse(). Two steps in a row are never interrupted, so
// that others make progress however many requests are cancelled.
void EngineLoop::mark_step(const StepPlan* plan) {
  const std::lock_guard lock(mutex_);
  in_flight_.clear();
  step_started_.reset();
  decoder_.abort_flag().store(false, std::memory_order_relaxed);
  if (plan == nullptr) return;
  step_started_ = base::now();
  step_expected_ = base::Milliseconds(std::lround(std::ceil(slowest_token_ms_ * plan->tokens)));
  if (was_interrupted_ || plan->tokens < options_.abort_tokens_min) return;
  for (const Slice& slice : plan->slices) in_flight_.push_back(slice.id);
  // A cancel that came between wait_for_jobs() and here.
  for (const Job& job : jobs_) {
    const auto* cancel = std::get_if<CancelJob>(&job);
    if (cancel != nullptr &&
        std::find(in_flight_.begin(), in_flight_.end(), cancel->id) != in_flight_.end()) {
      decoder_.abort_flag().store(true, std::memory_order_relaxed);
    }
  }
}

// A piece of an embedding begins or ends.
void EngineLoop::mark_piece(bool runs) {
  const std::lock_guard lock(mutex_);
  step_started_ = runs ? std::optional(base::now()) : std::nullopt;
  step_expected_ = base::Milliseconds(0);
}

// Has the draft model guess for the slices that want it; how long that took.
base::TimePoint::duration EngineLoop::draft(StepPlan& plan) {
  if (drafter_ == nullptr) return {};
  std::vector<Drafter::Wish> wishes;
  std::vector<Slice*> slices;
  for (Slice& slice : plan.slices) {
    if (slice.draft_wanted == 0) continue;
    wishes.push_back({slice.slot, scheduler_.tokens(slice.id), slice.draft_wanted});
    slices.push_back(&slice);
  }
  if (wishes.empty()) return {};
  const base::TimePoint started = base::now();
  Drafter::Guesses guesses = drafter_->guess(wishes);
  for (std::size_t index = 0; index < slices.size(); ++index) {
    slices[index]->draft = std::move(guesses.tokens[index]);
  }
  const auto took = base::now() - started;
  scheduler_.drafted(plan, guesses.rounds, took);
  return took;
}

Decoder::Outcome EngineLoop::decode(const StepPlan& plan) {
  std::vector<BatchSlice> batch;
  batch.reserve(plan.slices.size());
  for (const Slice& slice : plan.slices) {
    const auto tokens = scheduler_.tokens(slice.id);
    batch.push_back({slice.slot, slice.begin,
                     tokens.subspan(static_cast<std::size_t>(slice.begin),
                                    static_cast<std::size_t>(slice.size())),
                     slice.outputs, slice.draft, slice.adapter});
  }
  return decoder_.decode(batch);
}

void EngineLoop::finish_step(const StepPlan& plan, base::TimePoint started) {
  std::vector<Sampled> sampled;
  for (std::size_t index = 0; index < plan.slices.size(); ++index) {
    tell_prompt(plan.slices[index], index, started);
    if (plan.slices[index].wants_logits) sample(plan.slices[index], index, sampled);
  }
  const base::TimePoint now = base::now();
  step_ms_ = std::chrono::duration<double, std::milli>(now - started).count();
  slowest_token_ms_ = std::max(slowest_token_ms_, step_ms_ / plan.tokens);
  ++steps_;
  const auto size = static_cast<std::size_t>(std::bit_width(plan.slices.size() - 1));
  ++batch_sizes_[std::min(size, batch_sizes_.size() - 1)];
  for (const Ended& ended : scheduler_.complete(plan, sampled, now, now - started)) {
    report_end(ended);
  }
}

// A prompt whose logprobs nobody wants is told at once.
void EngineLoop::tell_prompt(SequenceId id) {
  std::optional<PromptEcho>& echo = running_.at(id).echo;
  if (!echo || echo->wants_logits()) return;
  add_echo(id, echo->tell_all(scheduler_.tokens(id)));
}

void EngineLoop::tell_prompt(const Slice& slice, std::size_t index, base::TimePoint now) {
  std::optional<PromptEcho>& echo = running_.at(slice.id).echo;
  if (!echo || !echo->wants_logits() || scheduler_.told(slice.id) >= slice.end) return;
  const auto end = static_cast<std::size_t>(slice.end);
  const std::size_t begin = end - static_cast<std::size_t>(slice.outputs);
  add_echo(slice.id, echo->tell(scheduler_.tokens(slice.id), begin, end, [&](std::size_t position) {
    return decoder_.logits(index, position - begin);
  }));
  scheduler_.spend_credit(slice.id, now);
}

void EngineLoop::add_echo(SequenceId id, wire::Delta delta) {
  if (delta.content().empty() && delta.logprobs_size() == 0) return;
  *add_event(id)->mutable_delta() = std::move(delta);
}

// Token by token, as without guesses, for as long as they were right.
void EngineLoop::sample(const Slice& slice, std::size_t index, std::vector<Sampled>& sampled) {
  if (!running_.at(slice.id).answers) {
    sampled.push_back({slice.id, 0, true, false});
    return;
  }
  const auto first = static_cast<std::size_t>(slice.outputs - 1);
  for (std::size_t guess = 0;; ++guess) {
    sampled.push_back(sample_one(slice.id, decoder_.logits(index, first + guess)));
    const Sampled& last = sampled.back();
    if (last.stop || guess == slice.draft.size() || last.token != slice.draft[guess]) return;
  }
}

// What the model thinks is free; its content is held to the constraint, if there is one.
std::optional<Token> EngineLoop::choose(Running& running, std::span<const float> logits) {
  if (!running.constraint || running.text.reasoning()) return running.sampler->sample(logits);
  masks_.await(*running.constraint);
  if (running.constraint->over()) return std::nullopt;
  const Token token = running.sampler->sample(running.constraint->allowed(logits));
  // Where biases leave nothing that may come, what was drawn may not.
  if (!running.constraint->accept(token)) return std::nullopt;
  return token;
}

void EngineLoop::begin_mask(const Running& running) {
  if (running.constraint && !running.text.reasoning()) masks_.begin(running.constraint);
}

Sampled EngineLoop::sample_one(SequenceId id, std::span<const float> logits) {
  Running& running = running_.at(id);
  const bool thought = running.text.reasoning();
  const std::optional<Token> chosen = choose(running, logits);
  Sampled sampled{id, chosen.value_or(0), !chosen || text_.is_end(*chosen), false};
  if (sampled.stop) return sampled;
  const Token token = *chosen;
  if (running.logprobs) add_logprobs(running, logits, token);
  running.pending.add_token_ids(token);
  AnswerText::Output output = running.text.push(text_.piece(token, false));
  if (running.text.reasoning() || !output.reasoning.empty()) ++running.reasoning_tokens;
  sampled.stop = output.stopped;
  if (running.constraint && thought && !running.constraint->accept_text(running.text.begun())) {
    // The token that ended its thinking says what may not come: nothing right can follow.
    output = {};
    sampled.stop = true;
  }
  if (!sampled.stop) begin_mask(running);
  output.put_first(std::exchange(running.unsent, {}));
  if (output.empty()) return sampled;
  // One event a token, because it costs one credit: what else there is goes out with the next one.
  const bool says = !output.content.empty() || !output.reasoning.empty();
  if (!says) {
    add_call(id, output.calls.front());
    output.calls.erase(output.calls.begin());
  } else {
    wire::Delta* delta = add_event(id)->mutable_delta();
    *delta = std::exchange(running.pending, {});
    delta->set_content(std::exchange(output.content, {}));
    delta->set_reasoning(std::exchange(output.reasoning, {}));
  }
  running.unsent.calls = std::move(output.calls);
  sampled.text_event = true;
  return sampled;
}

// An answer with a call is not continued elsewhere, so its tokens need not be told.
void EngineLoop::add_call(SequenceId id, const ToolCallPiece& piece) {
  running_.at(id).pending.Clear();
  wire::ToolCallDelta* call = add_event(id)->mutable_tool_call();
  call->set_index(piece.index);
  call->set_id(piece.id);
  call->set_name(piece.name);
  call->set_arguments(piece.arguments);
}

void EngineLoop::add_logprobs(Running& running, std::span<const float> logits, Token token) {
  const auto alternatives = static_cast<std::size_t>(std::max(*running.logprobs, 0));
  *running.pending.add_logprobs() = token_logprob(text_, logits, token, alternatives);
}

void EngineLoop::report_end(const Ended& ended) {
  Running& running = running_.at(ended.id);
  AnswerText::Output rest = running.text.finish();
  rest.put_first(std::exchange(running.unsent, {}));  // if the first token was the end
  for (const ToolCallPiece& piece : rest.calls) add_call(ended.id, piece);
  wire::Delta last = std::move(running.pending);
  if (!rest.content.empty() || !rest.reasoning.empty() || last.token_ids_size() > 0) {
    last.set_content(std::move(rest.content));
    last.set_reasoning(std::move(rest.reasoning));
    *add_event(ended.id)->mutable_delta() = std::move(last);
  }
  wire::Finished* finished = add_event(ended.id)->mutable_finished();
  const bool called = ended.reason == EndReason::stop && running.text.called();
  finished->set_reason(called ? wire::Finished::TOOL_CALLS : to_wire(ended.reason));
  if (!running.answers) finished->set_reason(wire::Finished::LENGTH);
  finished->set_prompt_tokens(running.count_prompt ? ended.facts.prompt_tokens : 0);
  finished->set_cached_tokens(running.count_prompt ? ended.facts.cached_tokens : 0);
  finished->set_completion_tokens(running.answers ? ended.facts.completion_tokens : 0);
  finished->set_reasoning_tokens(running.reasoning_tokens);
  finished->set_queue_ms(ended.facts.queue_ms);
  finished->set_prefill_ms(ended.facts.prefill_ms);
  finished->set_decode_ms(ended.facts.decode_ms);
  finished->set_stop_sequence(running.text.stop());
  running_.erase(ended.id);
}

wire::SequenceEvent* EngineLoop::add_event(SequenceId id) {
  wire::SequenceEvent* event = message_.mutable_step()->add_events();
  event->set_request(id);
  return event;
}

void EngineLoop::interrupted(const StepPlan& plan) {
  std::vector<std::int32_t> cells;
  for (const Slice& slice : plan.slices) cells.push_back(decoder_.cells(slice.slot));
  scheduler_.aborted(plan, cells);
  // What is in the cache beyond what the scheduler counts is computed again at the same place.
  for (std::size_t index = 0; index < plan.slices.size(); ++index) {
    decoder_.keep(plan.slices[index].slot, scheduler_.computed(plan.slices[index].id));
  }
}

void EngineLoop::step_failed(const StepPlan& plan) {
  if (options_.on_gpu) return tell_device_failed();
  log_.error("a step of the model failed; its requests are ended",
             {{"sequences", static_cast<std::int64_t>(plan.slices.size())}});
  for (const Slice& slice : plan.slices) {
    if (!scheduler_.discard(slice.id)) continue;
    decoder_.clear(slice.slot);
    fail(slice.id, base::make_error(base::ErrorCode::internal, "The model could not compute."));
  }
}

// Its requests are not failed: they go on in the process that follows this one.
void EngineLoop::tell_device_failed() {
  log_.error("the GPU could not compute a step");
  device_failed_ = true;
  wire::FromEngine message;
  message.mutable_device_failed()->set_message("it could not compute a step");
  sink_(message);
}

void EngineLoop::fail(SequenceId id, const base::Error& error) {
  *add_event(id)->mutable_failed() = to_wire(error);
  running_.erase(id);
}

void EngineLoop::fail_call(std::uint64_t call, const base::Error& error) {
  wire::FromEngine message;
  message.mutable_call_failed()->set_call(call);
  *message.mutable_call_failed()->mutable_failure() = to_wire(error);
  sink_(message);
}

Embedder::Progress EngineLoop::embed_step() {
  mark_piece(true);
  const Embedder::Progress progress = embedder_->step();
  mark_piece(false);
  return progress;
}

// One bounded piece of the inputs that are embedded; true if there was one.
bool EngineLoop::embed_piece() {
  if (!embeds_.computing()) {
    if (embeds_.empty()) return false;
    embedder_->start(embeds_.next());
  }
  const Embedder::Progress progress = embed_step();
  if (progress == Embedder::Progress::working) return true;
  if (progress == Embedder::Progress::failed) {
    for (const std::uint64_t call : embeds_.failed()) {
      fail_call(call, base::make_error(base::ErrorCode::internal, "The model could not compute."));
    }
    return true;
  }
  for (wire::EmbedReply& reply : embeds_.computed(embedder_->take())) {
    wire::FromEngine message;
    *message.mutable_embed_reply() = std::move(reply);
    sink_(message);
  }
  return true;
}

// What operators see is at most so old, and never tells of sequences long gone.
void EngineLoop::tell_sequences(base::TimePoint now) {
  const bool due = now - last_view_ >= options_.view_interval;
  const bool ended = scheduler_.idle() && !view_empty_;
  if (!ended && (!due || scheduler_.idle())) return;
  last_view_ = now;
  view_empty_ = scheduler_.idle();
  wire::Step* step = message_.mutable_step();
  step->set_tells_sequences(true);
  for (const SequenceView& view : scheduler_.view()) {
    wire::SequenceView* told = step->add_sequences();
    told->set_request(view.id);
    told->set_state(std::string(view.state));
    told->set_tenant(std::string(view.tenant));
    told->set_user_id(std::string(view.user_id));
    told->set_priority(view.priority);
    told->set_age_ms(std::chrono::duration_cast<base::Milliseconds>(now - view.arrival).count());
    told->set_prompt_tokens(view.prompt_tokens);
    told->set_cached_tokens(view.cached_tokens);
    told->set_completion_tokens(view.completion_tokens);
    told->set_cells(view.cells);
  }
}

void EngineLoop::flush() {
  tell_sequences(base::now());
  if (!message_.has_step()) return;
  const SchedulerLoad load = scheduler_.load();
  wire::EngineLoad* told = message_.mutable_step()->mutable_load();
  told->set_running(load.running);
  told->set_waiting(load.waiting);
  told->set_kv_cells_used(static_cast<std::uint64_t>(load.cells_used));
  told->set_kv_cells_resting(static_cast<std::uint64_t>(load.cells_resting));
  const CellUse cells = decoder_.cell_use();
  told->set_kv_cells_taken(static_cast<std::uint64_t>(cells.used));
  told->set_kv_cells_span(static_cast<std::uint64_t>(cells.span));
  told->set_cached_tokens(load.cached_tokens);
  told->set_evicted_cells(load.evicted_cells);
  told->set_prefill_tokens(load.prefill_tokens);
  told->set_decode_tokens(load.decode_tokens);
  told->set_preemptions(load.preemptions);
  told->set_drafted_tokens(load.drafted_tokens);
  told->set_accepted_tokens(load.accepted_tokens);
  const StateMemory::Figures states = states_.figures();
  told->set_state_bytes(states.bytes);
  told->set_states_put_back(states.hits);
  if (store_ != nullptr) {
    const PrefixStore::Figures files = store_->figures();
    told->set_disk_bytes(files.bytes);
    told->set_disk_reads(files.hits);
  }
  told->set_unread_tokens(load.unread_tokens);
  told->set_prefill_tokens_per_second(load.prefill_tokens_per_second);
  told->set_answer_ms(load.answer_ms);
  told->set_step_ms(step_ms_);
  told->set_steps(steps_);
  told->mutable_batch_sizes()->Add(batch_sizes_.begin(), batch_sizes_.end());
  sink_(message_);
  message_.Clear();
}

}  // namespace deepseek::engine
