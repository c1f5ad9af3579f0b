// libFuzzer target over what upstreams of Anthropic's form send, in any pieces, and over the bodies
// that are made for them. The first byte picks the part, so that one corpus serves all.
#include "check.hpp"

#include "base/utf8.hpp"
#include "protocol/anthropic_body.hpp"
#include "protocol/anthropic_signature.hpp"
#include "protocol/anthropic_support.hpp"
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"
#include "protocol/json.hpp"
#include "protocol/upstream_answer.hpp"
#include "protocol/upstream_error.hpp"
#include "protocol/upstream_events.hpp"
#include "protocol/upstream_stream.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace deepseek;
using namespace deepseek::protocol;

constexpr std::size_t frame_bytes_max = 4096;
constexpr std::int64_t count_max = std::int64_t{1} << 43;

void check_error(const base::Error& error) {
  check(base::is_valid_utf8(error.message) && base::is_valid_utf8(error.param));
  check(!error.message.empty() && error.message.size() < 1024);
}

// What clients of both forms get of the events: always text, and whole frames.
std::string told(const std::vector<Event>& events) {
  std::string out;
  const AnswerHead head{"id", 1, "m"};
  for (const auto& encoder :
       {make_chat_stream(head, Request{}), make_messages_stream(head, Request{})}) {
    std::vector<std::string> frames;
    for (const Event& event : events) encoder->on_event(event, frames);
    encoder->finish(frames);
    for (const std::string& frame : frames) {
      check(base::is_valid_utf8(frame) && frame.ends_with("\n\n"));
      out += frame;
    }
  }
  return out;
}

void check_usage_of(const UpstreamChunk& chunk) {
  if (!chunk.usage) return;
  check(chunk.usage->prompt_tokens >= -1 && chunk.usage->prompt_tokens < count_max);
  check(chunk.usage->completion_tokens >= -1 && chunk.usage->completion_tokens < count_max);
}

struct StreamResult {
  bool good = true;
  bool done = false;
  std::string raw, told;
  bool operator==(const StreamResult&) const = default;
};

StreamResult read_stream(std::string_view bytes, std::size_t step) {
  StreamResult result;
  UpstreamStreamReader reader(frame_bytes_max, UpstreamWire::anthropic);
  UpstreamEvents maker(1);
  std::vector<UpstreamFrame> frames;
  std::vector<Event> events;
  for (std::size_t i = 0; i < bytes.size() && result.good; i += step) {
    // Each piece in memory of its own, so that a view that outlives it is found.
    const std::string piece(bytes.substr(i, step));
    frames.clear();
    result.good = reader.push(piece, frames).has_value();
    for (const UpstreamFrame& frame : frames) {
      result.raw += frame.raw;
      maker.add(frame.chunk, events);
      check_usage_of(frame.chunk);
      check(frame.chunk.blocks.next >= 0);
      if (frame.kind != UpstreamFrame::Kind::error) continue;
      check_error(upstream_chunk_error(frame.chunk, "key-of-ours"));
      check(base::is_valid_utf8(upstream_error_type(frame.chunk.error)));
    }
  }
  if (result.raw.ends_with('\n')) result.raw.pop_back();
  result.told = told(events);
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
  const auto answer = parse_upstream_answer(bytes, "key-of-ours", UpstreamWire::anthropic);
  if (!answer) return check_error(answer.error());
  check_usage_of(answer->chunk);
  std::vector<Event> events;
  to_events(*answer, 1, {}, events);
  told(events);
  Answer gathered{Request{}};
  for (Event& event : events) gathered.add(std::move(event));
  check(parse_json_object(messages_body({}, gathered), {}).has_value());
}

// What is sent is JSON with a limit, and holds no thinking that another model has signed.
void fuzz_bodies(std::string_view bytes, bool of_messages) {
  const RequestLimits limits;
  const DecodeContext context{limits};
  auto decoded = of_messages ? decode_messages(bytes, context) : decode_chat(bytes, context);
  if (!decoded) return;
  Request& request = *decoded;
  request.raw_body = bytes;
  if (!check_anthropic_support(request, true)) return;
  AnswerSoFar so_far;
  so_far.content = "so \"far\" \n";
  const AnthropicTarget target{"theirs"};
  for (const AnswerSoFar* said :
       {static_cast<const AnswerSoFar*>(nullptr), static_cast<const AnswerSoFar*>(&so_far)}) {
    const AnthropicBody body = anthropic_body(request, target, said);
    if (body.complete) continue;
    RequestLimits deep = limits;
    deep.json_depth_max += 8;  // of blocks around what the client gave
    const auto object = parse_json_object(body.bytes(), deep);
    check(object.has_value() && object->contains("max_tokens") && object->at("model") == "theirs");
    const auto again = decode_messages(body.bytes(), {deep});
    if (!again) continue;
    for (const Message& message : again->messages) {
      check(message.reasoning_content.empty() || is_real_signature(message.reasoning_signature));
    }
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
      fuzz_bodies(bytes, true);
      break;
    default:
      fuzz_bodies(bytes, false);
  }
  return 0;
}
