#include "frontend/frontend.hpp"

#include "base/id.hpp"
#include "frontend/answer_session.hpp"
#include "frontend/call_turn.hpp"
#include "frontend/caller.hpp"
#include "frontend/endpoint_table.hpp"
#include "frontend/http_rules.hpp"
#include "frontend/kept_responses.hpp"
#include "frontend/ranking.hpp"
#include "frontend/rpc_routes.hpp"
#include "frontend/token_count.hpp"
#include "frontend/web_files.hpp"
#include "protocol/rpc/rpc_decode.hpp"
#include "protocol/rpc/rpc_encode.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

namespace deepseek::frontend {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::uint64_t ignored_body_max = 64u << 10;  // of a GET

bool is_cancellation(const std::exception& error) {
  const auto* system = dynamic_cast<const boost::system::system_error*>(&error);
  return system != nullptr && system->code() == asio::error::operation_aborted;
}

protocol::ModelCard card(const gateway::ModelEntry& entry) {
  return {entry.id, entry.created, entry.owner, entry.alias_of};
}

// Pages for people and probes ask for no key.
bool needs_key(const EndpointRow& row) {
  const Endpoint endpoint = row.endpoint;
  if (is_rpc(endpoint)) return rpc_row(row).method != protocol::RpcMethod::health;
  return endpoint != Endpoint::root && endpoint != Endpoint::web_file &&
         endpoint != Endpoint::health && endpoint != Endpoint::ready;
}

std::vector<protocol::ModelCard> model_cards(const Snapshot& snapshot) {
  std::vector<protocol::ModelCard> cards;
  for (const auto& entry : snapshot.gateway->models()) cards.push_back(card(entry));
  return cards;
}

io::HttpResponse models_page(const Snapshot& snapshot, const RequestRecord& record) {
  return json_response(200, protocol::models_body(model_cards(snapshot)), record.id);
}

base::Result<protocol::EmbeddingRequest> decode_binary_embed(
    std::string_view body, const protocol::DecodeContext& context) {
  return protocol::decode_rpc_embed(protocol::RpcCodec::binary, body, context);
}

base::Result<protocol::EmbeddingRequest> decode_json_embed(std::string_view body,
                                                           const protocol::DecodeContext& context) {
  return protocol::decode_rpc_embed(protocol::RpcCodec::json, body, context);
}

// What the model is asked for a decoded request.
template <class Call>
Call& asked(Call& call) {
  return call;
}
protocol::EmbeddingRequest& asked(protocol::RerankRequest& request) {
  return request.texts;
}

io::HttpResponse model_page(const Snapshot& snapshot, const std::string& id,
                            const RequestRecord& record) {
  for (const auto& entry : snapshot.gateway->models()) {
    if (entry.id == id) return json_response(200, protocol::model_body(card(entry)), record.id);
  }
  auto known = snapshot.gateway->resolve(id);
  auto error = known.has_error() ? known.error()
                                 : base::make_error(ErrorCode::model_not_found, "no such model");
  return error_response(error, record.id);
}

}  // namespace

Frontend::Frontend(Options options, std::shared_ptr<const Snapshot> snapshot)
    : options_(std::move(options)), snapshot_(std::move(snapshot)) {}

base::Result<std::uint64_t> Frontend::accept_head(const io::HttpRequest& request) {
  auto route = find_route(request);
  if (route.has_error()) return route.error();
  const auto snapshot = snapshot_.get();
  // Before the body is read: who may not ask costs no more than the head.
  if (needs_key(*route->row)) {
    auto tenant = authenticate(*snapshot->keys, request.fields);
    if (tenant.has_error()) return tenant.error();
  }
  auto form = check_body_form(*route->row, request);
  if (form.has_error()) return form.error();
  const std::uint64_t body_max = snapshot->body_max;
  const bool bodiless = route->row->body == BodyForm::none && !request.grpc;
  return bodiless ? std::min(body_max, ignored_body_max) : body_max;
}

io::HttpResponse Frontend::refuse(const io::HttpRefusal& refusal, const io::HttpRequest& request) {
  base::Error error = refusal.error;
  if (!refusal.limit.empty() && error.message.find(refusal.limit) == std::string::npos) {
    error.message += " (the limit is " + std::string(refusal.limit) + ")";
  }
  RequestRecord record = make_record(request);
  io::HttpResponse response = error_response(error, record.id, record.form);
  if (refusal.status != 0) response.status = refusal.status;
  if (error.code == ErrorCode::method_not_allowed) {
    response.fields.add("Allow", allowed_methods(request.path));
  }
  record.status = response.status;
  record.error = base::describe(error.code).name;
  report(record);
  return response;
}

asio::awaitable<void> Frontend::handle(io::HttpRequest request, io::HttpResponder& responder) {
  RequestRecord record = make_record(request);
  std::string failure;
  std::exception_ptr cancelled;
  try {
    co_await route_request(request, responder, record);
  } catch (const std::exception& error) {
    failure = error.what();
    if (is_cancellation(error)) cancelled = std::current_exception();
  }
  if (failure.empty()) co_return;
  const auto code = cancelled ? ErrorCode::cancelled : ErrorCode::internal;
  record.status = base::describe(code).http_status;
  record.error = base::describe(code).name;
  report(record);
  if (cancelled) std::rethrow_exception(cancelled);
  options_.logger.error("a request failed by a mistake of this server",
                        {{"request", record.id}, {"what", failure}});
  if (responder.started()) co_return;
  auto error =
      base::make_error(code, "the server made a mistake; its log has request " + record.id);
  [[maybe_unused]] auto sent =
      co_await responder.send(error_response(error, record.id, record.form));
}

asio::awaitable<void> Frontend::route_request(io::HttpRequest& request,
                                              io::HttpResponder& responder, RequestRecord& record) {
  auto route = find_route(request);
  if (route.has_error()) {
    co_await send_error(responder, route.error(), record);
    co_return;
  }
  switch (route->row->endpoint) {
    case Endpoint::chat:
    case Endpoint::completions:
    case Endpoint::infer:
    case Endpoint::generate:
    case Endpoint::messages:
    case Endpoint::responses:
      co_await answer(*route, request, responder, record);
      break;
    case Endpoint::embeddings:
      co_await embed(request, responder, record);
      break;
    case Endpoint::rerank:
      co_await rerank(request, responder, record);
      break;
    case Endpoint::rpc_json:
    case Endpoint::rpc_binary:
      co_await call(*route, request, responder, record);
      break;
    case Endpoint::tokenize:
    case Endpoint::detokenize:
      co_await tokenize(route->row->endpoint, request, responder, record);
      break;
    case Endpoint::count_tokens:
      co_await count_tokens(request, responder, record);
      break;
    case Endpoint::response:
    case Endpoint::response_items:
    case Endpoint::response_cancel: {
      const auto snapshot = snapshot_.get();
      auto page = co_await response_page(*snapshot, *route, request, record);
      co_await send(responder, std::move(page), record);
      break;
    }
    default:
      co_await send(responder, page(*route, request, record), record);
  }
}

asio::awaitable<void> Frontend::answer(const Route& route, io::HttpRequest& request,
                                       io::HttpResponder& responder, RequestRecord& record) {
  const auto snapshot = snapshot_.get();
  auto tenant = authenticate_to_spend(*snapshot->keys, request.fields);
  if (tenant.has_error()) {
    co_await send_error(responder, tenant.error(), record);
    co_return;
  }
  protocol::ResponsesFields responses;
  const protocol::DecodeContext context{
      snapshot->limits, request.fields.find("deepseek-model").value_or(""), record.id,
      snapshot->responses == nullptr ? nullptr : &responses};
  auto decoded = decode_request(route.row->endpoint, request, context);
  if (decoded.has_error()) {
    co_await send_error(responder, decoded.error(), record);
    co_return;
  }
  auto recalled = co_await recall(*snapshot, (*tenant)->name, responses, *decoded);
  if (recalled.has_error()) {
    record.error = base::describe(recalled.error().code).name;
    co_await send(responder, recall_error(recalled.error(), record), record);
    co_return;
  }
  const bool binary = route.row->endpoint == Endpoint::rpc_binary;
  if (!binary) decoded->raw_body = std::move(request.body);
  const gateway::Caller caller = make_caller(**tenant, request.fields, record.began);
  AnswerSession session(route.row->endpoint, std::move(*decoded), caller, snapshot, responder,
                        record, [this, &record] { report(record); });
  // Its keys are made from JSON; and a response that is kept has an id of its own.
  if (responses.stored) {
    session.keep_response(std::move(responses));
  } else if (snapshot->cache != nullptr && !binary) {
    session.consult(*snapshot->cache, read_wish(request));
  }
  co_await session.run();
}

template <class Decode, class MakeBody>
asio::awaitable<void> Frontend::take_turn(const io::HttpRequest& request,
                                          io::HttpResponder& responder, RequestRecord& record,
                                          Decode decode, MakeBody make_body) {
  CallTurn turn(snapshot_.get(), request, responder, record);
  auto decoded = turn.decode(decode);
  if (decoded.has_error()) {
    co_await send_error(responder, decoded.error(), record);
    co_return;
  }
  auto result = co_await turn.run(asked(*decoded));
  if (result.has_error()) {
    co_await send_error(responder, result.error(), record);
    co_return;
  }
  std::string body = make_body(*decoded, *result);
  co_await send(responder, json_response(200, std::move(body), record.id), record);
}

asio::awaitable<void> Frontend::embed(const io::HttpRequest& request, io::HttpResponder& responder,
                                      RequestRecord& record) {
  const auto body = [&record](const auto& decoded, const auto& result) {
    return protocol::embeddings_body(record.model, result.vectors, result.prompt_tokens,
                                     decoded.base64);
  };
  co_await take_turn(request, responder, record, protocol::decode_embeddings, body);
}

asio::awaitable<void> Frontend::call(const Route& route, io::HttpRequest& request,
                                     io::HttpResponder& responder, RequestRecord& record) {
  const auto codec = rpc_codec(route.row->endpoint);
  switch (rpc_row(*route.row).method) {
    case protocol::RpcMethod::list_models:
    case protocol::RpcMethod::health: {
      auto body = call_page(route, request, record);
      if (body.has_error()) {
        co_await send_error(responder, body.error(), record);
      } else {
        co_await send(responder, json_response(200, std::move(*body), record.id), record);
      }
      co_return;
    }
    case protocol::RpcMethod::embed:
      break;
    default:
      co_await answer(route, request, responder, record);
      co_return;
  }
  const bool binary = codec == protocol::RpcCodec::binary;
  const auto body = [&record, codec](const auto&, const auto& result) {
    return protocol::rpc_embed_body(codec, record.model, result.vectors, result.prompt_tokens);
  };
  co_await take_turn(request, responder, record, binary ? decode_binary_embed : decode_json_embed,
                     body);
}

base::Result<std::string> Frontend::call_page(const Route& route, const io::HttpRequest& request,
                                              const RequestRecord& record) const {
  const auto codec = rpc_codec(route.row->endpoint);
  const auto method = rpc_row(*route.row).method;
  const auto snapshot = snapshot_.get();
  auto read =
      protocol::decode_rpc_empty(method, codec, request.body, {snapshot->limits, {}, record.id});
  if (read.has_error()) return read.error();
  if (method == protocol::RpcMethod::list_models) {
    return protocol::rpc_models_body(codec, model_cards(*snapshot));
  }
  protocol::RpcHealth health;
  const ServerFacts now = facts();
  health.draining = now.draining;
  health.version = now.version;
  health.uptime_seconds = now.uptime.count();
  for (const auto& model : snapshot->gateway->status()) {
    health.models.push_back(
        {model.model, std::string(gateway::to_string(model.status.state)), model.status.reason});
  }
  return protocol::rpc_health_body(codec, health);
}

asio::awaitable<void> Frontend::rerank(const io::HttpRequest& request, io::HttpResponder& responder,
                                       RequestRecord& record) {
  const auto body = [&record](const protocol::RerankRequest& decoded, auto& result) {
    if (result.scores.empty()) result.scores = similarities(result.vectors);
    const auto ranked = best_first(result.scores, decoded.results_max);
    return protocol::rerank_body(decoded, record.model, ranked, result.prompt_tokens);
  };
  co_await take_turn(request, responder, record, protocol::decode_rerank, body);
}

asio::awaitable<void> Frontend::tokenize(Endpoint endpoint, const io::HttpRequest& request,
                                         io::HttpResponder& responder, RequestRecord& record) {
  const bool back = endpoint == Endpoint::detokenize;
  const auto body = [back](const auto&, const auto& result) {
    return back ? protocol::detokenized_body(result.text)
                : protocol::tokens_body(result.tokens, result.context_max);
  };
  co_await take_turn(request, responder, record,
                     back ? protocol::decode_detokenize : protocol::decode_tokenize, body);
}

asio::awaitable<void> Frontend::count_tokens(const io::HttpRequest& request,
                                             io::HttpResponder& responder, RequestRecord& record) {
  auto tokens = co_await frontend::count_tokens(snapshot_.get(), request, responder, record);
  if (tokens.has_error()) {
    co_await send_error(responder, tokens.error(), record);
    co_return;
  }
  std::string body = protocol::count_tokens_body(*tokens);
  co_await send(responder, json_response(200, std::move(body), record.id, record.form), record);
}

io::HttpResponse Frontend::page(const Route& route, const io::HttpRequest& request,
                                const RequestRecord& record) const {
  const auto snapshot = snapshot_.get();
  switch (route.row->endpoint) {
    case Endpoint::models:
      return models_page(*snapshot, record);
    case Endpoint::model:
      return model_page(*snapshot, route.id, record);
    case Endpoint::balance: {
      const auto tenant = authenticate(*snapshot->keys, request.fields);
      if (tenant.has_error()) return error_response(tenant.error(), record.id);
      return json_response(200, protocol::balance_body((*tenant)->balance, (*tenant)->may_spend()),
                           record.id);
    }
    case Endpoint::health:
      return json_response(200, health_body(facts(), snapshot->gateway->status()), record.id);
    case Endpoint::ready: {
      const gateway::Gateway& gateway = *snapshot->gateway;
      std::vector<gateway::BackendReport> relays;
      if (gateway.relays()) relays = gateway.backends(base::now());
      ReadyPage ready = ready_page(facts(), gateway.status(), relays);
      auto response = json_response(ready.status, std::move(ready.body), record.id);
      if (ready.status != 200) response.fields.add("Retry-After", "1");
      return response;
    }
    case Endpoint::web_file:
      return web_response(*find_web_file(route.row->path), record.id);
    default:
      return root_page(request, record);
  }
}

io::HttpResponse Frontend::root_page(const io::HttpRequest& request,
                                     const RequestRecord& record) const {
  io::HttpResponse response = wants_page(request)
                                  ? web_response(*find_web_file("/chat"), record.id)
                                  : json_response(200, root_body(options_.version), record.id);
  response.fields.add("Vary", "Accept");
  return response;
}

asio::awaitable<void> Frontend::send(io::HttpResponder& responder, io::HttpResponse response,
                                     RequestRecord& record) {
  record.status = response.status;
  report(record);
  [[maybe_unused]] auto sent = co_await responder.send(std::move(response));
}

asio::awaitable<void> Frontend::send_error(io::HttpResponder& responder, const base::Error& error,
                                           RequestRecord& record) {
  record.error = base::describe(error.code).name;
  co_await send(responder, error_response(error, record.id, record.form), record);
}

ServerFacts Frontend::facts() const {
  ServerFacts facts;
  facts.version = options_.version;
  facts.uptime = std::chrono::duration_cast<std::chrono::seconds>(base::now() - began_);
  facts.draining = draining_;
  return facts;
}

RequestRecord Frontend::make_record(const io::HttpRequest& request) const {
  RequestRecord record;
  record.id = choose_request_id(request, base::random_id("req_"));
  record.label = route_label(request);
  record.form = error_form(request.path);
  record.method = known_method(request.method);
  record.began = base::now();
  return record;
}

void Frontend::report(RequestRecord& record) {
  if (record.reported) return;
  record.reported = true;
  const auto now = base::now();
  if (options_.observer != nullptr) options_.observer->on_request(record, now);
  if (options_.logger.enabled(base::LogLevel::debug)) log_request(record, now);
  std::int64_t suppressed = 0;
  if (record.status >= 500 && record.status != 503 && failures_.allow(now, suppressed)) {
    options_.logger.warning("request failed", {{"request", record.id},
                                               {"endpoint", record.label},
                                               {"status", record.status},
                                               {"error", record.error},
                                               {"suppressed", suppressed}});
  }
}

void Frontend::log_request(const RequestRecord& record, base::TimePoint now) const {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - record.began);
  options_.logger.debug("request", {{"request", record.id},
                                    {"method", record.method},
                                    {"endpoint", record.label},
                                    {"status", record.status},
                                    {"error", record.error},
                                    {"model", record.model},
                                    {"prompt_tokens", record.usage.prompt_tokens},
                                    {"completion_tokens", record.usage.completion_tokens},
                                    {"cache", record.cache},
                                    {"duration_ms", took}});
}

}  // namespace deepseek::frontend
