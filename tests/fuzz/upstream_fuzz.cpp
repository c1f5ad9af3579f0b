// libFuzzer target over everything that reads bytes from upstreams in protocol/: the stream in any
// pieces, whole answers, errors, Retry-After; and over the bodies that are made for them. The first
// byte picks the part, so that one corpus serves all.
#include "check.hpp"

#include "base/utf8.hpp"
#include "protocol/continuation.hpp"
#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/upstream_answer.hpp"
#include "protocol/upstream_error.hpp"
#include "protocol/upstream_events.hpp"
#include "protocol/upstream_stream.hpp"
#include "protocol/usage_check.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace deepseek;
using namespace deepseek::protocol;

constexpr std::size_t frame_bytes_max = 4096;
constexpr std::size_t text_bytes_max = 1024;

void check_error(const base::Error& error) {
  check(base::is_valid_utf8(error.message) && base::is_valid_utf8(error.param));
  check(!error.message.empty() && error.message.size() < 1024);
}

void check_events(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (const auto* delta = std::get_if<Delta>(&event)) {
      check(base::is_valid_utf8(delta->content) && base::is_valid_utf8(delta->reasoning));
    }
  }
}

void check_usage_bounds(const std::optional<Usage>& reported, const DeliveredAnswer& delivered) {
  Request request;
  request.tokens_max = 100;
  const Usage usage = check_usage(reported, request, delivered).usage;
  check(usage.prompt_tokens >= 0 && usage.prompt_tokens < 1 << 20);
  check(usage.completion_tokens >= 0);
  check(usage.completion_tokens <= 164 || usage.completion_tokens <= delivered.text.tokens());
  check(usage.prompt_cache_miss_tokens() >= 0 && usage.prompt_cache_hit_tokens >= 0);
  check(usage.reasoning_tokens >= 0 && usage.reasoning_tokens <= usage.completion_tokens);
}

struct StreamResult {
  bool good = true;
  bool done = false;
  std::string raw, content;
  std::vector<int> kinds;
  bool operator==(const StreamResult&) const = default;
};

StreamResult read_stream(std::string_view bytes, std::size_t step) {
  StreamResult result;
  UpstreamStreamReader reader(frame_bytes_max);
  UpstreamEvents maker(2);
  AnswerSoFar so_far;
  DeliveredAnswer delivered;
  std::vector<UpstreamFrame> frames;
  std::vector<Event> events;
  for (std::size_t i = 0; i < bytes.size() && result.good; i += step) {
    // Each piece in memory of its own, so that a view that outlives it is found.
    const std::string piece(bytes.substr(i, step));
    frames.clear();
    result.good = reader.push(piece, frames).has_value();
    check(reader.pending_bytes() <= frame_bytes_max);
    for (const UpstreamFrame& frame : frames) {
      result.raw += frame.raw;
      // Blank lines are one frame or several, as they come.
      if (frame.raw.find_first_not_of("\r\n") != std::string_view::npos) {
        result.kinds.push_back(static_cast<int>(frame.kind));
      }
      maker.add(frame.chunk, events);
      so_far.add(frame.chunk, text_bytes_max);
      delivered.add(frame.chunk);
      check_usage_bounds(frame.chunk.usage, delivered);
      if (frame.kind == UpstreamFrame::Kind::error) {
        check_error(upstream_chunk_error(frame.chunk, "key-of-ours"));
      }
    }
  }
  check(so_far.content.size() + so_far.reasoning.size() <= text_bytes_max);
  check_events(events);
  // Whether an LF that comes after the CR at the end of the stream still belongs to it depends on
  // the cut.
  if (result.raw.ends_with('\n')) result.raw.pop_back();
  result.content = so_far.content;
  result.done = reader.done();
  return result;
}

void fuzz_stream(std::string_view bytes) {
  const StreamResult whole = read_stream(bytes, bytes.size() + 1);
  check(read_stream(bytes, 1) == whole);
  check(read_stream(bytes, 7) == whole);
  check(bytes.starts_with(whole.raw));
}

void fuzz_answer(std::string_view bytes) {
  const auto answer = parse_upstream_answer(bytes, "key-of-ours");
  if (!answer) {
    check_error(answer.error());
    return;
  }
  std::vector<Event> events;
  to_events(*answer, 2, {}, events);
  check_events(events);
  DeliveredAnswer delivered;
  delivered.add(answer->chunk);
  check_usage_bounds(answer->chunk.usage, delivered);
}

void fuzz_error(std::string_view bytes) {
  for (const int status : {200, 400, 404, 413, 422, 429, 500, 503}) {
    check_error(parse_upstream_error(status, bytes, std::nullopt, "key-of-ours"));
  }
  const auto wait = parse_retry_after(bytes, "", 1700000000);
  check(!wait || (wait->count() >= 0 && wait->count() <= 86400000));
}

// What is sent to an upstream is JSON, and says what the client said.
void fuzz_bodies(std::string_view bytes) {
  const RequestLimits limits;
  const DecodeContext context{limits};
  auto decoded = decode_chat(bytes, context);
  if (!decoded) return;
  Request& request = *decoded;
  request.raw_body = bytes;
  const BodyOutline outline = outline_body(request.raw_body);
  AnswerSoFar so_far;
  so_far.content = "so \"far\"";
  so_far.tokens = 3;
  for (const Continuation kind :
       {Continuation::none, Continuation::prefix, Continuation::continue_final_message,
        Continuation::assistant_last}) {
    UpstreamForm form;
    form.model = "theirs";
    form.continuation = kind;
    const UpstreamBody body = upstream_body(request, outline, form);
    const auto first = decode_chat(body.bytes(), context);
    check(first.has_value() && first->model == "theirs" && first->unknown_fields.empty());
    check(first->messages.size() == request.messages.size());
    const ContinuationBody next = continuation_body(request, outline, form, so_far);
    if (next.complete) continue;
    const auto second = decode_chat(next.text, context);
    // A message more may pass the limit; nothing else may go wrong.
    if (!second) check(second.error().param == "messages");
    if (second) check(second->messages.back().text().ends_with(so_far.content));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_stream(bytes);
      break;
    case 1:
      fuzz_answer(bytes);
      break;
    case 2:
      fuzz_error(bytes);
      break;
    default:
      fuzz_bodies(bytes);
  }
  return 0;
}
