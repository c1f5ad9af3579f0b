#include "gateway/relay/openai_backend.hpp"

#include "base/version.hpp"
#include "gateway/relay/relay_call.hpp"
#include "gateway/relay/relay_stream.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

// For a path segment or a query value: everything but unreserved characters is escaped.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace

OpenAiBackend::OpenAiBackend(OpenAiBackendOptions options) : options_(std::move(options)) {}
OpenAiBackend::~OpenAiBackend() = default;

Result<std::unique_ptr<OpenAiBackend>> OpenAiBackend::make(
    OpenAiBackendOptions options, std::span<const asio::any_io_executor> threads) {
  std::unique_ptr<OpenAiBackend> made(new OpenAiBackend(std::move(options)));
  for (const std::string_view path :
       {"/chat/completions", "/completions", "/embeddings", "/rerank"}) {
    auto head = made->make_head(path, "model");
    if (head.has_error()) {
      head.error().message = "backend " + made->options_.name +
                             ": its key, path or api_version cannot be sent in a header";
      return head.error();
    }
    if (made->options_.dialect == RelayDialect::openai) {
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

Result<io::HttpRequestHead> OpenAiBackend::make_head(std::string_view path,
                                                     std::string_view model) const {
  io::HttpClientRequest request;
  request.method = "POST";
  request.target = options_.base_url.path;
  if (options_.dialect == RelayDialect::azure) {
    request.target += "/openai/deployments/" + percent_encoded(model) + std::string(path) +
                      "?api-version=" + percent_encoded(options_.api_version);
    if (!options_.api_key.empty()) request.fields.add("api-key", options_.api_key);
  } else {
    request.target += path;
    if (!options_.api_key.empty()) {
      request.fields.add("Authorization", "Bearer " + options_.api_key);
    }
  }
  request.fields.add("Content-Type", "application/json");
  request.fields.add("Accept-Encoding", "identity");
  request.fields.add("User-Agent", "deepseek-server/" + std::string(base::version()));
  return io::HttpRequestHead::make(request, options_.base_url);
}

std::unique_ptr<EventStream> OpenAiBackend::start(const Attempt& attempt) {
  return std::make_unique<RelayStream>(*this, attempt);
}

std::unique_ptr<EmbeddingCall> OpenAiBackend::embed(const EmbeddingAttempt& attempt) {
  return std::make_unique<RelayCall>(*this, attempt);
}

BackendStatus OpenAiBackend::status() const {
  BackendStatus status;
  status.state = BackendState::ready;
  status.progress = 1;
  return status;
}

}  // namespace deepseek::gateway
