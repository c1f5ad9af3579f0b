#include "frontend/request_record.hpp"

#include <algorithm>
#include <variant>

namespace deepseek::frontend {

void RequestRecord::note(const protocol::Event& event, base::TimePoint now) {
  if (const auto* delta = std::get_if<protocol::Delta>(&event)) {
    if (!first_token) first_token = now;
    tokens_seen += static_cast<std::int64_t>(delta->token_ids.size());
  } else if (std::holds_alternative<protocol::ToolCallDelta>(event)) {
    if (!first_token) first_token = now;
  } else if (const auto* verbatim = std::get_if<protocol::Verbatim>(&event)) {
    if (!first_token && (verbatim->deltas > 0 || verbatim->whole)) first_token = now;
    tokens_seen += verbatim->deltas;
  } else if (std::holds_alternative<protocol::Restarted>(event)) {
    tokens_seen = 0;
    usage = {};
  } else if (const auto* finished = std::get_if<protocol::Finished>(&event)) {
    usage += finished->usage;
    const protocol::Timings& timings = finished->timings;
    if (timings.queue_ms + timings.prefill_ms + timings.decode_ms <= 0) return;  // not told
    const base::Milliseconds waited(static_cast<std::int64_t>(timings.queue_ms));
    queued = std::max(queued.value_or(waited), waited);
  }
}

}  // namespace deepseek::frontend
