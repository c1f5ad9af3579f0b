// One call of /v1/embeddings or /v1/rerank from its key to its result: who asks, what, of which
// model.
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

namespace deepseek::frontend {

class EmbeddingTurn {
 public:
  EmbeddingTurn(std::shared_ptr<const Snapshot> snapshot, const io::HttpRequest& request,
                io::HttpResponder& responder, RequestRecord& record)
      : snapshot_(std::move(snapshot)), request_(request), responder_(responder), record_(record) {}

  // The request as `decode` reads it, of a caller that is known.
  template <typename Request>
  base::Result<Request> decode(base::Result<Request> (*decoder)(std::string_view,
                                                                const protocol::DecodeContext&)) {
    auto known = identify();
    if (known.has_error()) return known.error();
    return decoder(request_.body, context());
  }
  // `texts` gets the model's own name, and outlives the turn.
  boost::asio::awaitable<base::Result<gateway::EmbeddingResult>> run(
      protocol::EmbeddingRequest& texts);

 private:
  base::Result<void> identify();
  protocol::DecodeContext context() const;

  std::shared_ptr<const Snapshot> snapshot_;
  const io::HttpRequest& request_;
  io::HttpResponder& responder_;
  RequestRecord& record_;
  const access::Tenant* tenant_ = nullptr;
};

}  // namespace deepseek::frontend
