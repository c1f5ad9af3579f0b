#include "io/tls_client_context.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <map>
#include <mutex>

namespace deepseek::io {

using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t sessions_max = 256;  // hosts whose last session is remembered

bool is_numeric(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

// The last session of each host, so that a new connection needs no full handshake. OpenSSL's own
// cache of a client cannot be asked by name.
struct TlsClientContext::Sessions {
  ~Sessions() {
    for (const auto& [host, session] : by_host) SSL_SESSION_free(session);
  }

  // Takes the session over. 1: it is ours now; 0: it stays OpenSSL's.
  int keep(const std::string& host, SSL_SESSION* session) {
    const std::lock_guard lock(mutex);
    const auto found = by_host.find(host);
    if (found == by_host.end() && by_host.size() >= sessions_max) return 0;
    SSL_SESSION*& place = by_host[host];
    if (place != nullptr) SSL_SESSION_free(place);
    place = session;
    return 1;
  }

  void resume(const std::string& host, SSL* ssl) {
    const std::lock_guard lock(mutex);
    const auto found = by_host.find(host);
    if (found != by_host.end()) SSL_set_session(ssl, found->second);
  }

  std::mutex mutex;
  std::map<std::string, SSL_SESSION*> by_host;
};

TlsClientContext::TlsClientContext(SSL_CTX* context)
    : context_(context), sessions_(std::make_unique<Sessions>()) {
  SSL_CTX_set_app_data(context_, sessions_.get());
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, [](SSL* ssl, SSL_SESSION* session) {
    auto* const kept = static_cast<Sessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const char* const host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return host == nullptr ? 0 : kept->keep(host, session);
  });
}

TlsClientContext::~TlsClientContext() {
  SSL_CTX_free(context_);
}

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::load(
    const std::string& trust_file) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) {
    return base::make_error(ErrorCode::internal, "OpenSSL gives no client context");
  }
  std::shared_ptr<TlsClientContext> made(new TlsClientContext(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  const int trusted = trust_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                                         : SSL_CTX_load_verify_file(context, trust_file.c_str());
  if (trusted != 1) {
    const unsigned long code = ERR_peek_last_error();
    const char* const reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return base::make_error(ErrorCode::invalid_request,
                            (trust_file.empty() ? "the system's certificates" : trust_file) +
                                ": cannot read the trusted certificates: " +
                                (reason == nullptr ? "no certificate in it" : reason));
  }
  return std::shared_ptr<const TlsClientContext>(std::move(made));
}

std::unique_ptr<Transport> TlsClientContext::make_transport(int descriptor,
                                                            const std::string& host) const {
  SSL* const ssl = SSL_new(context_);
  if (ssl == nullptr) return nullptr;
  if (is_numeric(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    // A failure shows in the handshake.
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host.c_str()));
    sessions_->resume(host, ssl);
  }
  SSL_set_connect_state(ssl);
  return make_tls_transport(descriptor, ssl);
}

}  // namespace deepseek::io
