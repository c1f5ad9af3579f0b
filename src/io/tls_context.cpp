#include "io/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace deepseek::io {

namespace {

using base::ErrorCode;

base::Error tls_error(const std::string& file, const std::string& what) {
  ERR_clear_error();
  return base::make_error(ErrorCode::invalid_request, "TLS: " + file + ": " + what);
}

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "unknown reason";
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned int in_size, void*) {
  static constexpr unsigned char ours[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// Copies the password that load() was given. 0 makes OpenSSL fail instead of asking.
int give_password(char* room, int size, int /*writing*/, void* given) {
  const auto* password = static_cast<const std::string*>(given);
  if (password == nullptr || password->empty() ||
      password->size() > static_cast<std::size_t>(size)) {
    return 0;
  }
  std::memcpy(room, password->data(), password->size());
  return static_cast<int>(password->size());
}

base::Error key_error(const std::string& certificate_file, const std::string& key_file) {
  const bool mismatch = ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509;
  return tls_error(key_file,
                   mismatch ? "this key does not belong to " + certificate_file
                            : "no private key in PEM form, or tls.key_password does not open it (" +
                                  openssl_reason() + ")");
}

}  // namespace

base::Result<std::shared_ptr<const TlsContext>> TlsContext::load(
    const std::string& certificate_file, const std::string& key_file,
    const std::string& key_password) {
  for (const std::string& file : {certificate_file, key_file}) {
    if (::access(file.c_str(), R_OK) != 0) return tls_error(file, std::strerror(errno));
  }
  SSL_CTX* const native = SSL_CTX_new(TLS_server_method());
  if (native == nullptr) return tls_error("OpenSSL", openssl_reason());
  const std::shared_ptr<const TlsContext> context(new TlsContext(native));
  SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
  SSL_CTX_set_options(
      native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // No session state on the server, and no early data: a request must not be replayable.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_early_data(native, 0);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(native, certificate_file.c_str()) != 1) {
    return tls_error(certificate_file,
                     "no certificate chain in PEM form (" + openssl_reason() + ")");
  }
  ERR_clear_error();
  // Without a callback OpenSSL would ask at the terminal.
  SSL_CTX_set_default_passwd_cb(native, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(native, const_cast<std::string*>(&key_password));
  const int key_used = SSL_CTX_use_PrivateKey_file(native, key_file.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(native, nullptr);
  if (key_used != 1) {
    return key_error(certificate_file, key_file);
  }
  if (SSL_CTX_check_private_key(native) != 1) {
    return tls_error(key_file, "this key does not belong to " + certificate_file);
  }
  return context;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

}  // namespace deepseek::io
