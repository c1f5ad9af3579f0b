// What the operator's port says of backends, engines and routes, as JSON: GET /backends, GET
// /admin/engine and POST /routes/explain. Not for tenants: it tells names, prices and states of
// upstreams.
//
// Pure. Keys, header values and prompts are never in it.
#pragma once

#include "base/result.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/gateway.hpp"
#include "io/http_message.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::frontend {

std::string backends_body(std::span<const gateway::BackendReport> backends);

// One model's engine and all sequences that it has.
struct EngineReport {
  std::string model;
  gateway::BackendStatus status;
  gateway::EngineLoadFigures load;
  gateway::EngineSequences sequences;
  gateway::EngineDescription description;  // empty while nothing is loaded
};
std::string engines_body(std::span<const EngineReport> engines, base::TimePoint now);

struct ExplainQuestion {
  std::string tenant = "default";
  io::HttpFields headers;
  protocol::Request request;
};
// {"body": {a request of /v1/chat/completions}, "headers": {"name": "value"}, "tenant": "name"};
// the last two may be left out. Errors: invalid_request.
base::Result<ExplainQuestion> decode_explain(std::string_view text,
                                             const protocol::RequestLimits& limits);

std::string explanation_body(const gateway::RouteExplanation& explanation);
// Both together.
base::Result<std::string> explain_route(const gateway::Gateway& gateway, std::string_view text,
                                        const protocol::RequestLimits& limits, base::TimePoint now);

}  // namespace deepseek::frontend
