#include "gateway/backend.hpp"

namespace deepseek::gateway {

namespace asio = boost::asio;

namespace {

class NoTokens final : public TokenizeCall {
 public:
  asio::awaitable<base::Result<TokenizeResult>> result() override {
    co_return base::make_error(base::ErrorCode::not_implemented,
                               "The backend of this model does not tell its tokens.", "model");
  }
  void cancel() override {}
  AttemptFailure failure() const override { return {FailureKind::status_4xx_there, 0, {}}; }
};

}  // namespace

std::unique_ptr<TokenizeCall> Backend::tokenize(const TokenizeAttempt&) {
  return std::make_unique<NoTokens>();
}

std::string_view to_string(BackendState state) {
  switch (state) {
    case BackendState::unloaded:
      return "unloaded";
    case BackendState::starting:
      return "starting";
    case BackendState::loading:
      return "loading";
    case BackendState::ready:
      return "ready";
    case BackendState::restarting:
      return "restarting";
    case BackendState::failed:
      return "failed";
    case BackendState::stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace deepseek::gateway
