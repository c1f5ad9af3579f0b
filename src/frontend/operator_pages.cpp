#include "frontend/operator_pages.hpp"

#include "protocol/decode.hpp"
#include "protocol/json.hpp"

#include <boost/json/serialize.hpp>
#include <utility>

namespace deepseek::frontend {

using base::Result;
using gateway::BackendReport;
using gateway::RouteExplanation;

namespace {

namespace json = boost::json;

base::Error wrong(std::string what, std::string param) {
  return base::make_error(base::ErrorCode::invalid_request, std::move(what), std::move(param));
}

json::string text_of(std::string_view text) {
  return json::string(text.data(), text.size());
}

// Milliseconds with one decimal place.
double in_ms(std::chrono::microseconds time) {
  return static_cast<double>(time.count() / 100) / 10;
}

json::object to_json(const BackendReport& backend) {
  const gateway::HealthView& health = backend.health;
  json::object out;
  out["name"] = backend.name;
  out["state"] = text_of(gateway::to_string(backend.status.state));
  if (!backend.status.reason.empty()) out["reason"] = backend.status.reason;
  out["usable"] = backend.usable();
  out["availability"] = text_of(to_string(health.availability));
  if (health.back_in.count() > 0) out["back_in_ms"] = health.back_in.count();
  out["breaker"] = text_of(to_string(health.breaker));
  out["failures"] = health.failures;
  if (health.last_failure) out["last_failure"] = text_of(describe(*health.last_failure).name);
  out["health_check"] = text_of(to_string(health.active));
  out["in_flight"] = backend.in_flight;
  if (backend.in_flight_max > 0) out["in_flight_max"] = backend.in_flight_max;
  out["first_token_ms"] = in_ms(health.first_token_average);
  if (health.first_token.count > 0) {
    out["first_token_p50_ms"] = in_ms(health.first_token.p50);
    out["first_token_p95_ms"] = in_ms(health.first_token.p95);
  }
  if (backend.status.restarts > 0) out["restarts"] = backend.status.restarts;
  return out;
}

Result<void> take_headers(const json::value& value, ExplainQuestion& question) {
  const json::object* const headers = value.if_object();
  if (headers == nullptr) return wrong("headers is an object of names and texts", "headers");
  for (const auto& [name, field] : *headers) {
    const json::string* const text = field.if_string();
    if (text == nullptr) return wrong("headers is an object of names and texts", "headers");
    question.headers.add(std::string(name), std::string(text->data(), text->size()));
  }
  return {};
}

json::array layouts_of(const gateway::EngineDescription& description) {
  json::array all;
  for (const gateway::EngineLayout& layout : description.layouts) {
    json::object out{{"format", layout.format},
                     {"layout", layout.layout},
                     {"weights", layout.weights},
                     {"packed_bytes", layout.bytes}};
    if (layout.speed_one > 0) {
      out["speed"] = json::object{{"one", layout.speed_one}, {"many", layout.speed_many}};
    }
    all.push_back(std::move(out));
  }
  return all;
}

}  // namespace

std::string engines_body(std::span<const EngineReport> engines, base::TimePoint now) {
  json::array all;
  for (const EngineReport& engine : engines) {
    const gateway::EngineLoadFigures& load = engine.load;
    json::object out;
    out["model"] = engine.model;
    out["state"] = text_of(gateway::to_string(engine.status.state));
    if (!engine.status.reason.empty()) out["reason"] = engine.status.reason;
    out["pid"] = engine.status.pid;
    out["restarts"] = engine.status.restarts;
    out["running"] = load.running;
    out["waiting"] = load.waiting;
    out["kv_cells"] = json::object{{"total", engine.description.kv_cells},
                                   {"used", load.kv_cells_used},
                                   {"resting", load.kv_cells_resting}};
    out["load_ms"] = engine.description.load.count();
    out["layouts"] = layouts_of(engine.description);
    out["memory_fragmentation"] = gateway::fragmentation(load);
    out["step_ms"] = load.step_ms;
    out["preemptions"] = load.preemptions;
    out["cached_tokens"] = load.cached_tokens;
    out["draft_tokens"] =
        json::object{{"computed", load.drafted_tokens}, {"right", load.accepted_tokens}};
    out["prefix_bytes"] = json::object{{"memory", load.state_bytes}, {"disk", load.disk_bytes}};
    const auto age = std::chrono::duration_cast<base::Milliseconds>(now - engine.sequences.told);
    json::array sequences;
    for (const gateway::EngineSequence& sequence : engine.sequences.all) {
      sequences.push_back(json::object{{"number", sequence.number},
                                       {"state", sequence.state},
                                       {"tenant", sequence.tenant},
                                       {"user", sequence.user_id},
                                       {"priority", sequence.priority},
                                       {"age_ms", (sequence.age + age).count()},
                                       {"prompt_tokens", sequence.prompt_tokens},
                                       {"cached_tokens", sequence.cached_tokens},
                                       {"completion_tokens", sequence.completion_tokens},
                                       {"cells", sequence.cells}});
    }
    out["sequences"] = std::move(sequences);
    all.push_back(std::move(out));
  }
  return json::serialize(json::object{{"engines", std::move(all)}});
}

std::string backends_body(std::span<const BackendReport> backends) {
  json::array all;
  for (const BackendReport& backend : backends) all.push_back(to_json(backend));
  return json::serialize(json::object{{"backends", std::move(all)}});
}

Result<ExplainQuestion> decode_explain(std::string_view text,
                                       const protocol::RequestLimits& limits) {
  auto object = protocol::parse_json_object(text, limits);
  if (object.has_error()) return object.error();
  ExplainQuestion question;
  const json::value* body = nullptr;
  for (const auto& [name, value] : *object) {
    if (name == "body") {
      body = &value;
    } else if (name == "headers") {
      auto taken = take_headers(value, question);
      if (taken.has_error()) return taken.error();
    } else if (name == "tenant" && value.is_string()) {
      question.tenant.assign(value.get_string().data(), value.get_string().size());
    } else {
      return wrong("allowed are body, headers and tenant", std::string(name));
    }
  }
  if (body == nullptr) return wrong("body is missing: a request of /v1/chat/completions", "body");
  const std::string request = json::serialize(*body);
  auto decoded = protocol::decode_chat(request, {limits});
  if (decoded.has_error()) return decoded.error();
  question.request = std::move(*decoded);
  return question;
}

std::string explanation_body(const RouteExplanation& explanation) {
  json::object out;
  out["model"] = explanation.model;
  if (!explanation.problem.empty()) out["problem"] = explanation.problem;
  json::array rules;
  for (const RouteExplanation::Rule& rule : explanation.rules) {
    rules.push_back(json::object{{"route", rule.name}, {"verdict", rule.verdict}});
  }
  out["rules"] = std::move(rules);
  if (explanation.route.empty()) return json::serialize(out);
  out["route"] = explanation.route;
  out["strategy"] = explanation.strategy;
  json::array candidates;
  for (const RouteExplanation::Candidate& candidate : explanation.candidates) {
    json::object entry = to_json(candidate.backend);
    entry["price"] = candidate.price;
    if (!candidate.why_not.empty()) entry["why_not"] = candidate.why_not;
    candidates.push_back(std::move(entry));
  }
  out["candidates"] = std::move(candidates);
  if (!explanation.chosen.empty()) out["chosen"] = explanation.chosen;
  out["why"] = explanation.reason;
  return json::serialize(out);
}

Result<std::string> explain_route(const gateway::Gateway& gateway, std::string_view text,
                                  const protocol::RequestLimits& limits, base::TimePoint now) {
  auto question = decode_explain(text, limits);
  if (question.has_error()) return question.error();
  gateway::Caller caller;
  caller.tenant = question->tenant;
  caller.headers.context = &question->headers;
  caller.headers.find = [](const void* context, std::string_view name) {
    return static_cast<const io::HttpFields*>(context)->find(name);
  };
  return explanation_body(gateway.explain(std::move(question->request), caller, now));
}

}  // namespace deepseek::frontend
