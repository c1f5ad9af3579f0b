#include "frontend/embedding_turn.hpp"

#include "frontend/caller.hpp"

#include <utility>

namespace deepseek::frontend {
namespace {

// A client that leaves cancels its call.
class ClientWatch {
 public:
  ClientWatch(io::HttpResponder& responder, gateway::EmbeddingCall& call) : responder_(responder) {
    responder_.on_client_gone([&call] { call.cancel(); });
  }
  ~ClientWatch() { responder_.on_client_gone({}); }
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

 private:
  io::HttpResponder& responder_;
};

}  // namespace

base::Result<void> EmbeddingTurn::identify() {
  auto tenant = authenticate(*snapshot_->keys, request_.fields);
  if (tenant.has_error()) return tenant.error();
  tenant_ = *tenant;
  return {};
}

protocol::DecodeContext EmbeddingTurn::context() const {
  return {snapshot_->limits, request_.fields.find("deepseek-model").value_or(""), record_.id};
}

boost::asio::awaitable<base::Result<gateway::EmbeddingResult>> EmbeddingTurn::run(
    protocol::EmbeddingRequest& texts) {
  auto model = snapshot_->gateway->resolve(texts.model);
  if (model.has_error()) co_return model.error();
  texts.model = *model;
  record_.model = std::move(*model);
  record_.tenant = tenant_->name;
  const gateway::Caller caller = make_caller(*tenant_, request_.fields, record_.began);
  auto call = snapshot_->gateway->embed(texts, caller, responder_.executor());
  if (call.has_error()) co_return call.error();
  const ClientWatch watch(responder_, **call);
  auto result = co_await (*call)->result();
  if (result.has_value()) record_.usage.prompt_tokens = result->prompt_tokens;
  co_return result;
}

}  // namespace deepseek::frontend
