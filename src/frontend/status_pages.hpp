// The bodies of /, /health and /ready.
//
// Pure: states in, JSON and a status out. Plain words for people, fixed words for programs.
#pragma once

#include "gateway/gateway.hpp"

#include <chrono>
#include <span>
#include <string>
#include <string_view>

namespace deepseek::frontend {

struct ServerFacts {
  std::string_view version;
  std::chrono::seconds uptime{0};
  bool draining = false;
};

struct ReadyPage {
  int status = 200;
  std::string body;
};

using ModelStates = std::span<const gateway::Gateway::ModelStatus>;

std::string root_body(std::string_view version);

// Always of status 200: the process lives.
std::string health_body(const ServerFacts& facts, ModelStates models);

using BackendReports = std::span<const gateway::BackendReport>;

// 200 when every model can answer, else 503; `status` is the state of the model that is furthest
// from ready, and `reason` its words. With `relays`, one backend that may be asked is enough; the
// list of those says no more than their names and states.
ReadyPage ready_page(const ServerFacts& facts, ModelStates models, BackendReports relays = {});

}  // namespace deepseek::frontend
