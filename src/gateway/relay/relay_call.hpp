// An embedding call to an upstream of OpenAI's form.
//
// Lives on its coroutine's thread.
#pragma once

#include "gateway/relay/relay_exchange.hpp"

namespace deepseek::gateway {

class RelayCall final : public EmbeddingCall {
 public:
  // `request` is copied into a body at once.
  RelayCall(OpenAiBackend& backend, const protocol::EmbeddingRequest& request);

  boost::asio::awaitable<base::Result<EmbeddingResult>> result() override;
  void cancel() override { exchange_.cancel(); }

 private:
  RelayExchange exchange_;
  std::string model_;
  std::string request_id_;
  std::string body_;
  std::size_t inputs_;
};

}  // namespace deepseek::gateway
