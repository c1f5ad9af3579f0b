// What gRPC's TLS needs as text: it reads no files and knows no passwords.
//
// Pure but for reading the files; at start.
#pragma once

#include "base/result.hpp"

#include <string>

namespace deepseek::io {

struct GrpcIdentity {
  std::string certificate;  // PEM, the chain
  std::string key;          // PEM, not encrypted
};

// Errors as TlsContext::load(), which checks that the two belong together.
base::Result<GrpcIdentity> load_grpc_identity(const std::string& certificate_file,
                                              const std::string& key_file,
                                              const std::string& key_password);

// A whole file; the error names it.
base::Result<std::string> read_pem(const std::string& file);

}  // namespace deepseek::io
