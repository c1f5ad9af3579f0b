// An embedding or rerank call to an upstream of OpenAI's form.
//
// Lives on its coroutine's thread.
#pragma once

#include "gateway/relay/relay_exchange.hpp"

namespace deepseek::gateway {

class RelayCall final : public EmbeddingCall {
 public:
  RelayCall(RelayBackend& backend, const EmbeddingAttempt& attempt);

  boost::asio::awaitable<base::Result<EmbeddingResult>> result() override;
  void cancel() override { exchange_.cancel(); }
  AttemptFailure failure() const override { return exchange_.failure(); }

 private:
  base::Result<EmbeddingResult> read(const std::string& body) const;

  RelayExchange exchange_;
  const protocol::EmbeddingRequest& request_;
  std::string model_;
};

}  // namespace deepseek::gateway
