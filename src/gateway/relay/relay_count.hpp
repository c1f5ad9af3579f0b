// A count of the tokens of a chat of Anthropic's form, by an upstream of that form.
//
// Lives on its coroutine's thread.
#pragma once

#include "gateway/relay/relay_exchange.hpp"

#include <string>

namespace deepseek::gateway {

class RelayCount final : public TokenizeCall {
 public:
  // The attempt's input is a chat with the client's own body.
  RelayCount(RelayBackend& backend, const TokenizeAttempt& attempt);

  // Of an upstream that has no such count: `not_implemented`.
  boost::asio::awaitable<base::Result<TokenizeResult>> result() override;
  void cancel() override { exchange_.cancel(); }
  AttemptFailure failure() const override { return exchange_.failure(); }

 private:
  RelayBackend& backend_;
  RelayExchange exchange_;
  const protocol::TokenizeRequest& request_;
  std::string model_;
};

}  // namespace deepseek::gateway
