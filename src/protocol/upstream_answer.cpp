#include "protocol/upstream_answer.hpp"

#include "base/utf8.hpp"
#include "protocol/anthropic_chunk.hpp"
#include "protocol/upstream_error.hpp"
#include "protocol/upstream_events.hpp"

namespace deepseek::protocol {

base::Result<UpstreamAnswer> parse_upstream_answer(std::string_view body, std::string_view key,
                                                   UpstreamWire wire) {
  constexpr auto failed = base::ErrorCode::upstream_failed;
  UpstreamAnswer answer;
  const auto read = wire == UpstreamWire::anthropic ? read_anthropic_message : read_upstream_chunk;
  if (!base::is_valid_utf8(body) || !read(body, answer.chunk)) {
    return base::make_error(failed, "the upstream answered with something that is no JSON object");
  }
  if (!answer.chunk.error.empty() || answer.chunk.interrupted) {
    return upstream_chunk_error(answer.chunk, key);
  }
  if (answer.chunk.choices.empty()) {
    return base::make_error(failed, wire == UpstreamWire::anthropic
                                        ? "the upstream answered without a message"
                                        : "the upstream answered without choices");
  }
  return answer;
}

void to_events(const UpstreamAnswer& answer, std::size_t sequences, const Usage& usage,
               std::vector<Event>& events) {
  UpstreamEvents maker(sequences);
  maker.add(answer.chunk, events);
  maker.finish(usage, events);
}

}  // namespace deepseek::protocol
