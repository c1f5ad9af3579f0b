#include "io/grpc_tls.hpp"

#include "io/tls_context.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <fstream>
#include <iterator>
#include <memory>

namespace deepseek::io {

base::Result<std::string> read_pem(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in && !text.empty()) return text;
  return base::make_error(base::ErrorCode::invalid_request, "TLS: " + file + ": cannot be read");
}

base::Result<GrpcIdentity> load_grpc_identity(const std::string& certificate_file,
                                              const std::string& key_file,
                                              const std::string& key_password) {
  const auto context = TlsContext::load(certificate_file, key_file, key_password);
  if (context.has_error()) return context.error();
  GrpcIdentity identity;
  auto certificate = read_pem(certificate_file);
  if (certificate.has_error()) return certificate.error();
  identity.certificate = std::move(*certificate);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
  EVP_PKEY* const key = SSL_CTX_get0_privatekey((*context)->native());
  char* bytes = nullptr;
  if (out && PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1) {
    const long size = BIO_get_mem_data(out.get(), &bytes);
    identity.key.assign(bytes, static_cast<std::size_t>(size));
  }
  if (identity.key.empty()) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "TLS: " + key_file + ": the key cannot be given to gRPC");
  }
  return identity;
}

}  // namespace deepseek::io
