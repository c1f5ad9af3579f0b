#include "frontend/status_pages.hpp"

#include "frontend/endpoint_table.hpp"
#include "protocol/json.hpp"

#include <algorithm>
#include <cmath>

namespace deepseek::frontend {
namespace {

using gateway::BackendState;
using protocol::append_json_integer;
using protocol::append_json_number;
using protocol::append_json_string;

void append_member(std::string& out, std::string_view name, std::string_view text) {
  append_json_string(out, name);
  out += ": ";
  append_json_string(out, text);
}

void append_models(std::string& out, ModelStates models) {
  out += "\"models\": [";
  bool first = true;
  for (const auto& [model, status] : models) {
    if (!first) out += ", ";
    first = false;
    out += '{';
    append_member(out, "id", model);
    out += ", ";
    append_member(out, "status", gateway::to_string(status.state));
    if (status.state == BackendState::starting || status.state == BackendState::loading) {
      out += ", \"progress\": ";
      append_json_number(out, std::round(status.progress * 100) / 100);
    }
    if (!status.reason.empty()) {
      out += ", ";
      append_member(out, "reason", status.reason);
    }
    if (!status.degraded.empty()) {
      out += ", ";
      append_member(out, "degraded", status.degraded);
    }
    out += ", \"restarts\": ";
    append_json_integer(out, static_cast<std::int64_t>(status.restarts));
    out += '}';
  }
  out += ']';
}

std::string_view state_word(const gateway::BackendReport& backend) {
  if (backend.status.state != BackendState::ready) return gateway::to_string(backend.status.state);
  return backend.usable() ? "ready" : "unavailable";
}

void append_backends(std::string& out, BackendReports backends) {
  out += "\"backends\": [";
  bool first = true;
  for (const gateway::BackendReport& backend : backends) {
    if (backend.local) continue;
    if (!first) out += ", ";
    first = false;
    out += '{';
    append_member(out, "name", backend.name);
    out += ", ";
    append_member(out, "status", state_word(backend));
    out += '}';
  }
  out += ']';
}

// How far a state is from ready; 0 is ready.
int distance(BackendState state) {
  switch (state) {
    case BackendState::ready:
    case BackendState::unloaded:  // it can be asked
      return 0;
    case BackendState::loading:
      return 1;
    case BackendState::starting:
      return 2;
    case BackendState::restarting:
      return 3;
    case BackendState::stopped:
      return 4;
    case BackendState::failed:
      return 5;
  }
  return 5;
}

}  // namespace

std::string root_body(std::string_view version) {
  std::string out = "{\n  ";
  append_member(out, "name", "deepseek-server");
  out += ",\n  ";
  append_member(out, "version", version);
  out += ",\n  \"endpoints\": [";
  bool first = true;
  for (const EndpointRow& row : endpoint_table()) {
    out += first ? "\n    {" : ",\n    {";
    first = false;
    append_member(out, "method", row.method);
    out += ", ";
    append_member(out, "path", row.path);
    out += ", ";
    append_member(out, "about", row.about);
    out += '}';
  }
  out += "\n  ]\n}\n";
  return out;
}

std::string health_body(const ServerFacts& facts, ModelStates models) {
  std::string out = "{";
  append_member(out, "status", "ok");
  out += ", ";
  append_member(out, "version", facts.version);
  out += ", \"uptime_seconds\": ";
  append_json_integer(out, facts.uptime.count());
  out += ", ";
  append_models(out, models);
  out += '}';
  return out;
}

ReadyPage ready_page(const ServerFacts& facts, ModelStates models, BackendReports relays) {
  std::string_view status = "ready";
  std::string reason;
  int worst = 0;
  for (const auto& model : models) {
    if (const int now = distance(model.status.state); now > worst) {
      worst = now;
      status = gateway::to_string(model.status.state);
      reason = model.model + ": ";
      reason += model.status.reason.empty() ? std::string(status) : model.status.reason;
    }
  }
  if (!relays.empty()) {
    const bool any = std::any_of(relays.begin(), relays.end(),
                                 [](const auto& backend) { return backend.usable(); });
    status = any ? "ready" : "unavailable";
    reason = any ? "" : "no backend of any route can be asked now";
  }
  if (facts.draining) {
    status = "draining";
    reason = "the server is stopping and takes no new work";
  }
  ReadyPage page;
  page.status = status == "ready" ? 200 : 503;
  page.body = "{";
  append_member(page.body, "status", status);
  page.body += ", ";
  if (!reason.empty()) {
    append_member(page.body, "reason", reason);
    page.body += ", ";
  }
  append_models(page.body, models);
  if (!relays.empty()) {
    page.body += ", ";
    append_backends(page.body, relays);
  }
  page.body += '}';
  return page;
}

}  // namespace deepseek::frontend
