// What a TLS client trusts: the system's certificates, or one PEM file. TLS 1.2 and 1.3; the host's
// name is verified.
//
// Immutable after load(); shared by connections of any thread. Sessions are resumed where the
// server allows it (OpenSSL's own cache, which has a lock of its own).
#pragma once

#include "base/result.hpp"
#include "io/transport.hpp"

#include <memory>
#include <string>

namespace deepseek::io {

class TlsClientContext {
 public:
  // Error: invalid_request, one line that names the file.
  static base::Result<std::shared_ptr<const TlsClientContext>> load(const std::string& trust_file);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  // The client's side of a connection to `host`, a name or a numeric address. Null when OpenSSL is
  // out of memory.
  std::unique_ptr<Transport> make_transport(int descriptor, const std::string& host) const;

 private:
  struct Sessions;
  explicit TlsClientContext(SSL_CTX* context);
  SSL_CTX* context_;
  std::unique_ptr<Sessions> sessions_;
};

}  // namespace deepseek::io
