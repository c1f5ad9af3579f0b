// A whole answer of an upstream: checked, so that its bytes may pass to the client
// as they are, and read no further than needed.
//
// Pure; linear. All views are into the body, which must outlive the answer.
#pragma once

#include "base/result.hpp"
#include "protocol/upstream_chunk.hpp"

#include <string_view>
#include <vector>

namespace deepseek::protocol {

struct UpstreamAnswer {
  UpstreamChunk chunk;  // choices with their texts, usage (unchecked), id and model
};

// upstream_failed if the body is no answer: no JSON object, no UTF-8, no choices, or one that the
// upstream broke off or that is an error in spite of its status. `key` is redacted from what the
// upstream says.
base::Result<UpstreamAnswer> parse_upstream_answer(std::string_view body, std::string_view key = {},
                                                   UpstreamWire wire = UpstreamWire::openai);

// The events of the whole answer; `sequences` is Request::sequence_count(), `usage` is checked.
void to_events(const UpstreamAnswer& answer, std::size_t sequences, const Usage& usage,
               std::vector<Event>& events);

}  // namespace deepseek::protocol
