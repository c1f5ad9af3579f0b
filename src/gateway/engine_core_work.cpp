// The work half of EngineBackend::Core: requests to the engine, its events to their mailboxes.
#include "gateway/engine_core.hpp"

#include <algorithm>

namespace deepseek::gateway {

using base::ErrorCode;
using Kind = SupervisorEvent::Kind;
using Core = EngineBackend::Core;

// --- requests ---------------------------------------------------------------

void Core::begin(const WorkPointer& work) {
  if (work->ended) return;  // cancelled before it arrived here
  if (suspects_.refused(work->fingerprint)) {
    return fail(work,
                base::make_error(ErrorCode::internal,
                                 "The engine of model \"" + options.model + "\" died " +
                                     std::to_string(options.deaths_max) +
                                     " times while it answered this same request; it is not "
                                     "tried again. Change the request or report the crash."),
                false);
  }
  if (supervisor_.status().state == BackendState::unloaded) want();
  const BackendState state = supervisor_.status().state;
  if (state == BackendState::ready) return submit(work);
  if (state == BackendState::failed || state == BackendState::stopped ||
      waiting_.size() >= options.ready_wait_max) {
    return fail(work, unavailable(), false);
  }
  waiting_.push_back(work);
  arm();
  tell_memory();
}

void Core::submit(const WorkPointer& work) {
  work->live = work->count;
  for (std::size_t i = 0; i < work->count; ++i) running_[work->number_first + i] = work;
  step({.kind = Kind::busy});
  for (std::string& frame : std::exchange(work->frames, {})) {
    const base::Result<void> sent =
        channel_ ? channel_->send(std::move(frame))
                 : base::make_error(ErrorCode::cancelled, "the channel is closed");
    if (!sent.has_error()) continue;
    base::Error error = base::make_error(
        sent.error().code == ErrorCode::queue_full ? ErrorCode::queue_full : ErrorCode::unavailable,
        "The engine of model \"" + options.model +
            "\" takes no requests now: " + sent.error().message + ".");
    error.retry_after = std::chrono::milliseconds(1000);
    return fail(work, error, true);
  }
}

void Core::admit_waiting() {
  for (const WorkPointer& work : std::exchange(waiting_, {})) submit(work);
}

void Core::expire_waiting(base::TimePoint now) {
  std::vector<WorkPointer> expired;
  std::erase_if(waiting_, [&](const WorkPointer& work) {
    if (work->ready_by > now) return false;
    expired.push_back(work);
    return true;
  });
  for (const WorkPointer& work : expired) fail(work, unavailable(), false);
}

void Core::cancel(const WorkPointer& work) {
  std::erase(waiting_, work);
  fail(work, request_cancelled(), true);
}

void Core::fail(const WorkPointer& work, const base::Error& error, bool tell_engine) {
  if (work->ended) return;
  for (std::size_t i = 0; i < work->count; ++i) {
    const std::uint64_t number = work->number_first + i;
    if (running_.erase(number) > 0 && tell_engine) send_cancel(number);
  }
  work->close(error);
  end(work);
}

void Core::end(const WorkPointer& work) {
  if (work->events) sequences_live -= static_cast<std::int32_t>(work->count);
  work->ended = true;
  work->live = 0;
  work->frames.clear();
  if (running_.empty()) step({.kind = Kind::idle});
  tell_memory();
}

void Core::send_cancel(std::uint64_t number) {
  wire::ToEngine message;
  message.mutable_cancel()->set_request(number);
  send(message);
}

void Core::add_credits(const WorkPointer& work, const std::vector<std::pair<int, int>>& credits) {
  if (work->ended) return;
  for (const auto& [sequence, count] : credits) {
    const std::uint64_t number = work->number_first + static_cast<std::uint64_t>(sequence);
    if (!running_.contains(number)) continue;
    wire::ToEngine message;
    message.mutable_credit()->set_request(number);
    message.mutable_credit()->set_credits(count);
    send(message);
  }
}

void Core::fail_running(const EngineEnd& end) {
  const bool stopping = supervisor_.status().state == BackendState::stopped;
  std::vector<WorkPointer> works;
  std::vector<std::uint64_t> suspects;
  for (const auto& [number, work] : running_) {
    if (std::find(works.begin(), works.end(), work) == works.end()) works.push_back(work);
  }
  for (const WorkPointer& work : works) {
    if (work->started) suspects.push_back(work->fingerprint);
  }
  if (suspects.empty()) {
    for (const WorkPointer& work : works) suspects.push_back(work->fingerprint);
  }
  const std::string& why = supervisor_.end_reason();
  // Somebody killed it, or its whole process stood still: no request does that.
  const bool from_outside = supervisor_.was_silent() || (end.killed && why.empty());
  if (!stopping && !from_outside) suspects_.engine_died(suspects, base::now());
  base::Error error = base::make_error(
      ErrorCode::upstream_failed,
      "The engine of model \"" + options.model + "\" " +
          (why.empty() ? end.how + " while it answered" : "failed while it answered: " + why) +
          "; send the request again.");
  if (stopping) {
    error = base::make_error(ErrorCode::unavailable,
                             "The server is stopping, and this answer took longer than it may then "
                             "(server.drain_timeout); send the request again.");
  }
  error.retry_after = std::chrono::milliseconds(1000);
  for (const WorkPointer& work : works) fail(work, error, false);
}

// --- messages of the engine -------------------------------------------------

std::string Core::handle(const std::string& frame) {
  wire::FromEngine message;
  if (!message.ParseFromString(frame)) {
    return "the engine sent " + std::to_string(frame.size()) +
           " bytes that are not a message; install both programs from one build";
  }
  switch (message.message_case()) {
    case wire::FromEngine::kHello:
      step({.kind = Kind::hello, .number = message.hello().protocol_version()});
      break;
    case wire::FromEngine::kLoadProgress:
      step({.kind = Kind::progress,
            .fraction = message.load_progress().fraction(),
            .text = message.load_progress().stage()});
      break;
    case wire::FromEngine::kReady:
      handle_ready(message.ready());
      break;
    case wire::FromEngine::kLoadFailed:
      step({.kind = Kind::load_failed,
            .permanent = message.load_failed().permanent(),
            .text = message.load_failed().message()});
      break;
    case wire::FromEngine::kStep:
      handle_step(*message.mutable_step());
      break;
    case wire::FromEngine::kEmbedReply:
      handle_embed(message.embed_reply());
      break;
    case wire::FromEngine::kCallFailed:
      handle_call_failed(message.call_failed());
      break;
    case wire::FromEngine::kPong:
      step({.kind = Kind::pong,
            .number = message.pong().number(),
            .step = base::Milliseconds(message.pong().step_ms()),
            .expected_step = base::Milliseconds(message.pong().expected_step_ms())});
      break;
    case wire::FromEngine::kDeviceFailed:
      step({.kind = Kind::device_failed, .text = message.device_failed().message()});
      break;
    case wire::FromEngine::kTokenizeReply: {
      const auto& ids = message.tokenize_reply().ids();
      handle_tokens(message.tokenize_reply().call(), {{ids.begin(), ids.end()}, {}, 0});
      break;
    }
    case wire::FromEngine::kDetokenizeReply:
      handle_tokens(message.detokenize_reply().call(),
                    {{}, std::move(*message.mutable_detokenize_reply()->mutable_text()), 0});
      break;
    case wire::FromEngine::MESSAGE_NOT_SET:
      return "the engine sent an unknown message; install both programs from one build";
  }
  return {};
}

void Core::handle_ready(const wire::Description& told) {
  {
    const std::lock_guard lock(mutex_);
    snapshot_.description = to_description(told);
  }
  step({.kind = Kind::ready, .on_gpu = told.on_gpu()});
}

void Core::handle_step(wire::Step& told) {
  if (told.has_load()) {
    const std::lock_guard lock(mutex_);
    snapshot_.load = to_load(told.load());
    if (told.tells_sequences()) snapshot_.sequences = {to_sequences(told), base::now()};
  }
  for (wire::SequenceEvent& event : *told.mutable_events()) handle_event(event);
}

void Core::handle_event(wire::SequenceEvent& event) {
  const auto found = running_.find(event.request());
  if (found == running_.end()) return;  // cancelled a moment ago
  const WorkPointer work = found->second;
  if (!work->events || event.event_case() == wire::SequenceEvent::EVENT_NOT_SET) return;
  const auto sequence = static_cast<std::int32_t>(event.request() - work->number_first);
  const bool finished = event.has_finished();
  if (event.has_failed()) {
    running_.erase(found);
    return fail(work, to_error(event.failed(), options.model), true);
  }
  if (event.has_started()) work->started = true;
  if (finished) {
    running_.erase(found);
    --work->live;
  }
  if (!work->events->put(to_event(std::move(event), sequence))) {
    return fail(work,
                base::make_error(ErrorCode::internal, "The engine of model \"" + options.model +
                                                          "\" sent more than its credits."),
                true);
  }
  if (finished && work->live == 0) {
    suspects_.finished(work->fingerprint);
    end(work);
  }
}

void Core::handle_embed(const wire::EmbedReply& reply) {
  const auto found = running_.find(reply.call());
  if (found == running_.end() || !found->second->vectors) return;
  const WorkPointer work = found->second;
  running_.erase(found);
  EmbeddingResult result;
  result.prompt_tokens = reply.prompt_tokens();
  result.vectors.reserve(static_cast<std::size_t>(reply.vectors_size()));
  for (const auto& vector : reply.vectors()) {
    result.vectors.emplace_back(vector.values().begin(), vector.values().end());
  }
  // The mailbox is empty and has room for one.
  if (work->vectors->put(std::move(result))) suspects_.finished(work->fingerprint);
  end(work);
}

void Core::handle_tokens(std::uint64_t number, TokenizeResult result) {
  const auto found = running_.find(number);
  if (found == running_.end() || !found->second->tokens) return;
  const WorkPointer work = found->second;
  running_.erase(found);
  const auto described = description();
  result.context_max = described ? described->context_max : 0;
  if (work->tokens->put(std::move(result))) suspects_.finished(work->fingerprint);
  end(work);
}

void Core::handle_call_failed(const wire::CallFailed& told) {
  const auto found = running_.find(told.call());
  if (found == running_.end()) return;
  const WorkPointer work = found->second;
  fail(work, to_error(told.failure(), options.model), false);
}

}  // namespace deepseek::gateway
