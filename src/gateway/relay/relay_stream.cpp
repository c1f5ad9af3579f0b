#include "gateway/relay/relay_stream.hpp"

#include "protocol/upstream_answer.hpp"
#include "protocol/upstream_error.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;
using protocol::Event;

namespace {

// An error inside an answer is as one in its place.
base::ErrorCode code_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::status_429:
      return base::ErrorCode::rate_limited;
    case FailureKind::status_502_503_504:
      return base::ErrorCode::unavailable;
    case FailureKind::status_400_client:
      return base::ErrorCode::invalid_request;
    default:
      return base::ErrorCode::upstream_failed;
  }
}

bool is_event_stream(std::string_view content_type) {
  return content_type.starts_with("text/event-stream");
}

}  // namespace

RelayStream::RelayStream(RelayBackend& backend, const Attempt& attempt)
    : backend_(backend),
      attempt_(attempt),
      exchange_(backend, {attempt.first_token_by, attempt.end_by, attempt.spoken != nullptr}),
      model_(backend.options().name_there(attempt.request.model)),
      verbatim_(attempt.verbatim && backend.form().is_of(attempt.request.form)),
      reader_(protocol::UpstreamStreamReader::frame_bytes_max_default, backend.form().wire()),
      told_(attempt.request.sequence_count()) {}

Result<void> RelayStream::make_body() {
  auto made = backend_.form().body(attempt_, model_, backend_.options());
  if (made.has_error()) {
    // Another backend may be asked this.
    exchange_.set_failure(FailureKind::status_4xx_there);
    made.error().message = backend_.options().name + ": " + made.error().message;
    return made.error();
  }
  hide_usage_ = made->hide_usage;
  complete_ = made->complete;
  said_ = std::move(made->said);
  text_ = std::move(made->text);
  body_ = made->own ? std::string_view(attempt_.request.raw_body) : std::string_view(text_);
  return {};
}

asio::awaitable<Result<void>> RelayStream::begin() {
  begun_ = true;
  const Result<void> made = make_body();
  if (made.has_error()) co_return made.error();
  if (complete_) co_return Result<void>{};
  auto begun = co_await exchange_.begin(backend_.form().path(attempt_.request), model_,
                                        attempt_.request.id, body_);
  if (begun.has_error()) co_return begun.error();
  events_stream_ = is_event_stream(exchange_.content_type());
  co_return Result<void>{};
}

asio::awaitable<Result<std::vector<Event>>> RelayStream::read() {
  if (over_) co_return Events{};
  if (!begun_) {
    auto begun = co_await begin();
    if (begun.has_error()) co_return begun.error();
  }
  if (complete_) {
    Events events;
    over_ = true;
    protocol::Finished finished;
    finished.reason = protocol::FinishReason::length;
    events.emplace_back(finished);
    co_return events;
  }
  if (events_stream_) {
    auto events = co_await read_frames();
    co_return events;
  }
  auto events = co_await read_whole();
  co_return events;
}

asio::awaitable<Result<std::vector<Event>>> RelayStream::read_whole() {
  auto body = co_await exchange_.read_whole();
  if (body.has_error()) co_return body.error();
  over_ = true;
  const auto answer =
      protocol::parse_upstream_answer(*body, backend_.options().api_key, backend_.form().wire());
  if (answer.has_error()) {
    exchange_.set_failure(FailureKind::bad_answer);
    co_return answer.error();
  }
  delivered_.add(answer->chunk);
  const protocol::Usage usage =
      protocol::check_usage(answer->chunk.usage, attempt_.request, delivered_).usage;
  Events events;
  protocol::to_events(*answer, attempt_.request.sequence_count(), usage, events);
  drop_said(events);
  // A client that asked for a stream gets one, whatever the upstream made of it.
  if (!verbatim_ || attempt_.request.stream) co_return events;
  std::erase_if(events, [](const Event& event) {
    return !std::holds_alternative<protocol::Finished>(event);
  });
  protocol::Verbatim whole;
  whole.whole = true;
  whole.deltas = usage.completion_tokens;
  whole.bytes = std::move(*body);
  events.insert(events.begin(), std::move(whole));
  co_return events;
}

asio::awaitable<Result<std::vector<Event>>> RelayStream::read_frames() {
  Events events;
  while (events.empty()) {
    if (pending_) co_return std::move(*pending_);
    auto piece = co_await exchange_.read_piece();
    if (piece.has_error()) {
      // Everything was said, only the end is missing: the client loses nothing.
      if (!told_.finished() || piece.error().code == base::ErrorCode::cancelled) {
        co_return piece.error();
      }
      piece = std::string{};
    }
    frames_.clear();
    const bool ended = piece->empty();
    Result<void> pushed;
    if (ended) {
      reader_.end(frames_);
    } else {
      pushed = reader_.push(*piece, frames_);
    }
    take_frames(events);
    if (pushed.has_error() && !pending_) {
      pending_ = exchange_.refuse(FailureKind::bad_answer, pushed.error().message);
    }
    if (over_ || pending_ || !ended) continue;
    if (told_.finished()) {
      finish_stream(events, backend_.form().stream_end());
    } else {
      pending_ = exchange_.refuse(FailureKind::broken, "the answer ended before its end");
    }
  }
  co_return events;
}

void RelayStream::take_frames(Events& events) {
  const RelayForm& form = backend_.form();
  for (const protocol::UpstreamFrame& frame : frames_) {
    if (over_ || pending_) return;
    switch (frame.kind) {
      case protocol::UpstreamFrame::Kind::comment:
        break;
      case protocol::UpstreamFrame::Kind::error:
        pending_ = protocol::upstream_chunk_error(frame.chunk, backend_.options().api_key);
        exchange_.set_failure(form.failure_of_error(frame.chunk.error));
        pending_->code = code_of(exchange_.failure().kind);
        break;
      case protocol::UpstreamFrame::Kind::done:
        if (told_.finished()) {
          finish_stream(events, frame.chunk.last ? frame.raw : form.stream_end());
        } else {
          pending_ = exchange_.refuse(FailureKind::broken, "the answer ended before its end");
        }
        break;
      case protocol::UpstreamFrame::Kind::chunk:
        take_chunk(frame, events);
        break;
    }
  }
}

protocol::Verbatim& RelayStream::verbatim(Events& events) const {
  if (events.empty() || !std::holds_alternative<protocol::Verbatim>(events.back())) {
    events.emplace_back(protocol::Verbatim{});
  }
  return std::get<protocol::Verbatim>(events.back());
}

void RelayStream::take_chunk(const protocol::UpstreamFrame& frame, Events& events) {
  const protocol::UpstreamChunk& chunk = frame.chunk;
  if (chunk.usage) usage_ = chunk.usage;
  delivered_.add(chunk);
  if (frame.has_content()) exchange_.progressed(base::now());
  if (!verbatim_) {
    told_.add(chunk, events);
    return drop_said(events);
  }
  scratch_.clear();
  told_.add(chunk, scratch_);
  if (frame.usage_only() && hide_usage_) return;
  const bool in_blocks = backend_.form().wire() == protocol::UpstreamWire::anthropic;
  // A ping before the head: what was passed on must begin with the head, to be gone on with.
  if (in_blocks && !headed_ && chunk.choices.empty()) return;
  protocol::Verbatim& shown = verbatim(events);
  shown.bytes += frame.raw;
  if (in_blocks) {
    shown.blocks = chunk.blocks;
    if (!std::exchange(headed_, true)) {
      protocol::AnswerHead head = protocol::read_answer_head(chunk);
      shown.head = protocol::Resumed{std::move(head.id), std::move(head.model)};
    }
  }
  for (const protocol::UpstreamChoice& choice : chunk.choices) {
    choice.content.append_to(shown.content);
    choice.reasoning.append_to(shown.reasoning);
    if (choice.calls_tool() || choice.other) shown.uncontinuable = true;
  }
  if (frame.has_content()) ++shown.deltas;
}

// White space that the client has from before.
void RelayStream::drop_said(Events& events) {
  if (!said_.pending()) return;
  for (Event& event : events) {
    if (auto* delta = std::get_if<protocol::Delta>(&event)) said_.drop_from(delta->content);
  }
  std::erase_if(events, [](const Event& event) {
    const auto* delta = std::get_if<protocol::Delta>(&event);
    return delta != nullptr && delta->content.empty() && delta->reasoning.empty() &&
           delta->reasoning_signature.empty() && delta->redacted_reasoning.empty();
  });
}

// The end of all choices, and of the client's stream: an upstream that leaves out its last frame is
// forgiven.
void RelayStream::finish_stream(Events& events, std::string_view end) {
  over_ = true;
  exchange_.finish();
  if (verbatim_) verbatim(events).bytes += end;
  told_.finish(protocol::check_usage(usage_, attempt_.request, delivered_).usage, events);
}

}  // namespace deepseek::gateway
