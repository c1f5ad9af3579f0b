#include "gateway/relay/relay_stream.hpp"

#include "protocol/body_outline.hpp"
#include "protocol/continuation.hpp"
#include "protocol/openai_body.hpp"
#include "protocol/sse.hpp"
#include "protocol/upstream_answer.hpp"
#include "protocol/upstream_error.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;
using protocol::Event;

namespace {

std::string_view path_of(const protocol::Request& request) {
  return request.operation == protocol::Operation::chat ? "/chat/completions" : "/completions";
}

protocol::AnswerSoFar so_far(const protocol::Spoken& spoken) {
  protocol::AnswerSoFar answer;
  answer.content = spoken.content;
  answer.reasoning = spoken.reasoning;
  answer.tokens = spoken.tokens;
  return answer;
}

bool is_event_stream(std::string_view content_type) {
  return content_type.starts_with("text/event-stream");
}

}  // namespace

RelayStream::RelayStream(OpenAiBackend& backend, const Attempt& attempt)
    : backend_(backend),
      attempt_(attempt),
      exchange_(backend, {attempt.first_token_by, attempt.end_by}),
      model_(backend.options().name_there(attempt.request.model)),
      told_(attempt.request.sequence_count()) {}

Result<void> RelayStream::make_body() {
  const protocol::Request& request = attempt_.request;
  const bool own = request.form != protocol::ClientForm::other && !request.raw_body.empty();
  if (!own) text_ = protocol::openai_body(request);
  const protocol::BodyOutline outline =
      protocol::outline_body(own ? std::string_view(request.raw_body) : std::string_view(text_));
  protocol::UpstreamForm form;
  form.model = model_;
  form.allow_fields = backend_.options().allow_fields;
  form.continuation = backend_.options().continuation;
  form.token_limit_field = backend_.options().token_limit_field;
  if (attempt_.spoken == nullptr) {
    protocol::UpstreamBody body = protocol::upstream_body(request, outline, form);
    hide_usage_ = body.hide_usage;
    const bool same = body.text.empty();
    if (same && own) {
      body_ = request.raw_body;
      return {};
    }
    if (!same) text_ = std::move(body.text);
    body_ = text_;
    return {};
  }
  const protocol::AnswerSoFar answer = so_far(*attempt_.spoken);
  const std::string_view why =
      protocol::why_not_continued(request, answer, backend_.options().continuation);
  if (!why.empty()) {
    return exchange_.refuse(FailureKind::status_4xx_there, "cannot continue: " + std::string(why));
  }
  protocol::ContinuationBody body = protocol::continuation_body(request, outline, form, answer);
  hide_usage_ = body.hide_usage;
  complete_ = body.complete;
  text_ = std::move(body.text);
  body_ = text_;
  return {};
}

asio::awaitable<Result<void>> RelayStream::begin() {
  begun_ = true;
  const Result<void> made = make_body();
  if (made.has_error()) co_return made.error();
  if (complete_) co_return Result<void>{};
  auto begun =
      co_await exchange_.begin(path_of(attempt_.request), model_, attempt_.request.id, body_);
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
  const auto answer = protocol::parse_upstream_answer(*body, backend_.options().api_key);
  if (answer.has_error()) {
    exchange_.set_failure(FailureKind::bad_answer);
    co_return answer.error();
  }
  delivered_.add(answer->chunk);
  const protocol::Usage usage =
      protocol::check_usage(answer->chunk.usage, attempt_.request, delivered_).usage;
  Events events;
  protocol::to_events(*answer, attempt_.request.sequence_count(), usage, events);
  // A client that asked for a stream gets one, whatever the upstream made of it.
  if (!attempt_.verbatim || attempt_.request.stream) co_return events;
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
      finish_stream(events);
    } else {
      pending_ = exchange_.refuse(FailureKind::broken, "the answer ended before its end");
    }
  }
  co_return events;
}

void RelayStream::take_frames(Events& events) {
  for (const protocol::UpstreamFrame& frame : frames_) {
    if (over_ || pending_) return;
    switch (frame.kind) {
      case protocol::UpstreamFrame::Kind::comment:
        break;
      case protocol::UpstreamFrame::Kind::error:
        pending_ = protocol::upstream_chunk_error(frame.chunk, backend_.options().api_key);
        exchange_.set_failure(FailureKind::stream_error);
        break;
      case protocol::UpstreamFrame::Kind::done:
        if (told_.finished()) {
          finish_stream(events);
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
  if (!attempt_.verbatim) return told_.add(chunk, events);
  scratch_.clear();
  told_.add(chunk, scratch_);
  if (frame.usage_only() && hide_usage_) return;
  protocol::Verbatim& shown = verbatim(events);
  shown.bytes += frame.raw;
  for (const protocol::UpstreamChoice& choice : chunk.choices) {
    choice.content.append_to(shown.content);
    choice.reasoning.append_to(shown.reasoning);
    if (!choice.tool_calls.empty() || choice.other) shown.uncontinuable = true;
  }
  if (frame.has_content()) ++shown.deltas;
}

// The end of all choices, and of the client's stream: an upstream that leaves out [DONE] is
// forgiven.
void RelayStream::finish_stream(Events& events) {
  over_ = true;
  exchange_.finish();
  if (attempt_.verbatim) verbatim(events).bytes += protocol::sse_done;
  told_.finish(protocol::check_usage(usage_, attempt_.request, delivered_).usage, events);
}

}  // namespace deepseek::gateway
