// TLS 1.3 server side: one certificate chain and key, loaded once, used by every session.
//
// Immutable after load(); shared by all I/O threads. TLS 1.3 only, ALPN http/1.1, no renegotiation,
// no compression, no client certificates.
#pragma once

#include "base/result.hpp"

#include <memory>
#include <string>

typedef struct ssl_ctx_st SSL_CTX;

namespace deepseek::io {

class TlsContext {
 public:
  // PEM files. The error is one line that names the file and what is wrong with it (missing, no
  // certificate in it, key does not match the certificate). `key_password` opens an encrypted key;
  // it is not kept.
  static base::Result<std::shared_ptr<const TlsContext>> load(const std::string& certificate_file,
                                                              const std::string& key_file,
                                                              const std::string& key_password = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // For sessions in this room only.
  SSL_CTX* native() const { return context_; }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
};

}  // namespace deepseek::io
