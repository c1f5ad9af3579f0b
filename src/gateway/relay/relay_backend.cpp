#include "gateway/relay/relay_backend.hpp"

#include "base/version.hpp"
#include "gateway/relay/relay_call.hpp"
#include "gateway/relay/relay_count.hpp"
#include "gateway/relay/relay_stream.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

// What a form has no words for.
class NoEmbeddings final : public EmbeddingCall {
 public:
  explicit NoEmbeddings(const std::string& name) : name_(name) {}
  asio::awaitable<Result<EmbeddingResult>> result() override {
    co_return base::make_error(
        base::ErrorCode::not_implemented,
        name_ + ": a backend of Anthropic's form has neither embeddings nor rankings", "model");
  }
  void cancel() override {}
  AttemptFailure failure() const override { return {FailureKind::status_4xx_there, 0, {}}; }

 private:
  const std::string name_;
};

}  // namespace

RelayBackend::RelayBackend(RelayBackendOptions options)
    : options_(std::move(options)),
      form_(options_.dialect == RelayDialect::anthropic ? anthropic_form() : openai_form()) {}
RelayBackend::~RelayBackend() = default;

Result<std::unique_ptr<RelayBackend>> RelayBackend::make(
    RelayBackendOptions options, std::span<const asio::any_io_executor> threads) {
  std::unique_ptr<RelayBackend> made(new RelayBackend(std::move(options)));
  const bool anthropic = made->options_.dialect == RelayDialect::anthropic;
  const auto paths = anthropic
                         ? std::vector<std::string_view>{"/messages", "/messages/count_tokens"}
                         : std::vector<std::string_view>{"/chat/completions", "/completions",
                                                         "/embeddings", "/rerank"};
  for (const std::string_view path : paths) {
    auto head = made->make_head(path, "model");
    if (head.has_error()) {
      head.error().message = "backend " + made->options_.name +
                             ": its key, path or api_version cannot be sent in a header";
      return head.error();
    }
    if (made->options_.dialect != RelayDialect::azure) {
      made->heads_.emplace(std::string(path), std::move(*head));
    }
  }
  io::HttpClientOptions client;
  client.trust = made->options_.trust;
  for (const asio::any_io_executor& executor : threads) {
    made->pools_.push_back(std::make_unique<io::HttpPool>(executor, made->options_.base_url, client,
                                                          made->options_.pool));
  }
  return made;
}

Result<io::HttpRequestHead> RelayBackend::make_head(std::string_view path,
                                                    std::string_view model) const {
  io::HttpClientRequest request;
  request.method = "POST";
  request.target = form_.target(path, model, options_);
  form_.add_fields(request.fields, options_);
  request.fields.add("Content-Type", "application/json");
  request.fields.add("Accept-Encoding", "identity");
  request.fields.add("User-Agent", "deepseek-server/" + std::string(base::version()));
  return io::HttpRequestHead::make(request, options_.base_url);
}

std::unique_ptr<EventStream> RelayBackend::start(const Attempt& attempt) {
  return std::make_unique<RelayStream>(*this, attempt);
}

std::unique_ptr<EmbeddingCall> RelayBackend::embed(const EmbeddingAttempt& attempt) {
  if (options_.dialect == RelayDialect::anthropic) {
    return std::make_unique<NoEmbeddings>(options_.name);
  }
  return std::make_unique<RelayCall>(*this, attempt);
}

// How many tokens a text has is told to clients of the same form; which ones they are, to nobody.
std::unique_ptr<TokenizeCall> RelayBackend::tokenize(const TokenizeAttempt& attempt) {
  const auto* asked = std::get_if<protocol::Request>(&attempt.request.input);
  const bool told = attempt.request.counts && asked != nullptr && form_.is_of(asked->form) &&
                    options_.dialect == RelayDialect::anthropic && !asked->raw_body.empty();
  if (!told) return Backend::tokenize(attempt);
  return std::make_unique<RelayCount>(*this, attempt);
}

BackendStatus RelayBackend::status() const {
  BackendStatus status;
  status.state = BackendState::ready;
  status.progress = 1;
  return status;
}

}  // namespace deepseek::gateway
