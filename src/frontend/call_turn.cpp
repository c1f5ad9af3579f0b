#include "frontend/call_turn.hpp"

#include "frontend/caller.hpp"

#include <utility>

namespace deepseek::frontend {
namespace {

// A client that leaves cancels its call.
class ClientWatch {
 public:
  template <class Answer>
  ClientWatch(io::HttpResponder& responder, gateway::Call<Answer>& call) : responder_(responder) {
    responder_.on_client_gone([&call] { call.cancel(); });
  }
  ~ClientWatch() { responder_.on_client_gone({}); }
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

 private:
  io::HttpResponder& responder_;
};

}  // namespace

base::Result<void> CallTurn::identify(bool costs) {
  auto tenant = costs ? authenticate_to_spend(*snapshot_->keys, request_.fields)
                      : authenticate(*snapshot_->keys, request_.fields);
  if (tenant.has_error()) return tenant.error();
  tenant_ = *tenant;
  return {};
}

protocol::DecodeContext CallTurn::context() const {
  return {snapshot_->limits, request_.fields.find("deepseek-model").value_or(""), record_.id};
}

template <class Answer, class Request>
boost::asio::awaitable<base::Result<Answer>> CallTurn::ask(Request& request,
                                                           Begin<Answer, Request> begin) {
  auto model = snapshot_->gateway->resolve(request.model);
  if (model.has_error()) co_return model.error();
  request.model = *model;
  record_.model = std::move(*model);
  record_.tenant = tenant_->name;
  const gateway::Caller caller = make_caller(*tenant_, request_.fields, record_.began);
  auto call = ((*snapshot_->gateway).*begin)(request, caller, responder_.executor());
  if (call.has_error()) co_return call.error();
  const ClientWatch watch(responder_, **call);
  auto result = co_await (*call)->result();
  co_return result;
}

boost::asio::awaitable<base::Result<gateway::EmbeddingResult>> CallTurn::run(
    protocol::EmbeddingRequest& texts) {
  auto result = co_await ask<gateway::EmbeddingResult>(texts, &gateway::Gateway::embed);
  if (result.has_value()) record_.usage.prompt_tokens = result->prompt_tokens;
  co_return result;
}

boost::asio::awaitable<base::Result<gateway::TokenizeResult>> CallTurn::run(
    protocol::TokenizeRequest& request) {
  auto result = co_await ask<gateway::TokenizeResult>(request, &gateway::Gateway::tokenize);
  co_return result;
}

}  // namespace deepseek::frontend
