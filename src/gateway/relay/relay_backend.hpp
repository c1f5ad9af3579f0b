// Another server as a Backend, of OpenAI's form or Anthropic's: the official APIs, a cloud, vLLM,
// SGLang, llama-server, another deepseek-server.
//
// Made by main(), used by all I/O threads, each with its own connections; immutable otherwise. It
// must be destroyed when no I/O thread runs any more. It tries nothing twice, but for a kept
// connection that the server had closed before it was used.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/relay/relay_form.hpp"
#include "io/http_pool.hpp"
#include "protocol/continuation.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace deepseek::gateway {

enum class RelayDialect {
  openai,
  azure,  // the deployment in the path, api-version in the query, the key in its own header
  anthropic,
};

struct RelayBackendOptions {
  std::string name;
  io::HttpUrl base_url;
  std::string api_key;  // may be empty
  RelayDialect dialect = RelayDialect::openai;
  std::string api_version;                             // azure, anthropic; may be empty
  std::vector<std::string> beta_features;              // anthropic
  bool key_as_bearer = false;                          // anthropic: not in a header of its own
  std::int64_t answer_tokens = 4096;                   // anthropic: where the client has no limit
  std::map<std::string, std::string> upstream_models;  // our name → its name
  std::vector<std::string> allow_fields;               // further fields of a request; sorted
  protocol::Continuation continuation = protocol::Continuation::none;
  std::string token_limit_field;              // its name for max_tokens; empty: the client's
  base::Milliseconds connect_timeout{5'000};  // name, connection and TLS
  base::Milliseconds gap_timeout{60'000};     // between two pieces of an answer
  std::uint64_t answer_bytes_max = 64u << 20;
  io::HttpPool::Limits pool{};
  std::shared_ptr<const io::TlsClientContext> trust;  // needed for https

  // The upstream's name of our model.
  const std::string& name_there(const std::string& model) const {
    const auto renamed = upstream_models.find(model);
    return renamed == upstream_models.end() ? model : renamed->second;
  }
};

// What was said, for the makers of bodies.
protocol::AnswerSoFar so_far(const protocol::Spoken& spoken);
// upstream_failed with the reason why an upstream of this kind cannot go on.
base::Result<void> check_continuation(const protocol::Request& request,
                                      const protocol::AnswerSoFar& so_far,
                                      protocol::Continuation kind);

class RelayBackend final : public Backend {
 public:
  // One executor for each I/O thread, by its index. Error: invalid_request, for a key or a path
  // that cannot be sent.
  static base::Result<std::unique_ptr<RelayBackend>> make(
      RelayBackendOptions options, std::span<const boost::asio::any_io_executor> threads);
  ~RelayBackend() override;

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) override;
  std::unique_ptr<TokenizeCall> tokenize(const TokenizeAttempt& attempt) override;
  BackendStatus status() const override;

  const RelayBackendOptions& options() const { return options_; }
  const RelayForm& form() const { return form_; }

 private:
  friend class RelayExchange;
  explicit RelayBackend(RelayBackendOptions options);
  // The head of a POST to one of the form's paths, for the upstream's name of a model.
  base::Result<io::HttpRequestHead> make_head(std::string_view path, std::string_view model) const;

  const RelayBackendOptions options_;
  const RelayForm& form_;
  std::map<std::string, io::HttpRequestHead, std::less<>> heads_;  // by path; not azure
  std::vector<std::unique_ptr<io::HttpPool>> pools_;               // by I/O thread
};

}  // namespace deepseek::gateway
