// One call of /v1/embeddings, /v1/rerank, /v1/tokenize or /v1/detokenize from its key to its
// result: who asks, what, of which model.
//
// Lives on its coroutine's thread, inside the request that it refers to. A client that leaves
// cancels the call.
#pragma once

#include "frontend/http_rules.hpp"
#include "frontend/request_record.hpp"
#include "frontend/snapshot.hpp"
#include "io/http_server.hpp"
#include "protocol/decode.hpp"

#include <memory>
#include <type_traits>

namespace deepseek::frontend {

class CallTurn {
 public:
  CallTurn(std::shared_ptr<const Snapshot> snapshot, const io::HttpRequest& request,
           io::HttpResponder& responder, RequestRecord& record)
      : snapshot_(std::move(snapshot)), request_(request), responder_(responder), record_(record) {}

  // The request as `decode` reads it, of a caller that is known.
  template <typename Request>
  base::Result<Request> decode(base::Result<Request> (*decoder)(std::string_view,
                                                                const protocol::DecodeContext&)) {
    constexpr bool costs = std::is_same_v<Request, protocol::EmbeddingRequest> ||
                           std::is_same_v<Request, protocol::RerankRequest>;
    auto known = identify(costs);
    if (known.has_error()) return known.error();
    return decoder(request_.body, context());
  }
  // The request gets the model's own name, and outlives the turn.
  boost::asio::awaitable<base::Result<gateway::EmbeddingResult>> run(
      protocol::EmbeddingRequest& texts);
  boost::asio::awaitable<base::Result<gateway::TokenizeResult>> run(
      protocol::TokenizeRequest& request);

 private:
  template <class Answer, class Request>
  using Begin = base::Result<std::unique_ptr<gateway::Call<Answer>>> (gateway::Gateway::*)(
      const Request&, const gateway::Caller&, boost::asio::any_io_executor) const;
  template <class Answer, class Request>
  boost::asio::awaitable<base::Result<Answer>> ask(Request& request, Begin<Answer, Request> begin);
  base::Result<void> identify(bool costs);
  protocol::DecodeContext context() const;

  std::shared_ptr<const Snapshot> snapshot_;
  const io::HttpRequest& request_;
  io::HttpResponder& responder_;
  RequestRecord& record_;
  const access::Tenant* tenant_ = nullptr;
};

}  // namespace deepseek::frontend
