#include "base/digest.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <cstring>
#include <stdexcept>

namespace deepseek::base {
namespace {

void check(bool done) {
  if (!done) throw std::runtime_error("OpenSSL refuses SHA-256 or random bytes: check its set-up");
}

// Fetched once: looking it up by name takes longer than hashing a short text.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  check(fetched != nullptr);
  return fetched;
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&& other) noexcept = default;
Sha256& Sha256::operator=(Sha256&& other) noexcept = default;

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

void Sha256::begin() {
  if (begun_) return;
  check(EVP_DigestInit_ex2(context_.get(), algorithm(), nullptr) == 1);
  begun_ = true;
}

void Sha256::add(std::string_view bytes) {
  begin();
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

void Sha256::add_field(std::string_view bytes) {
  std::array<char, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<char>((static_cast<std::uint64_t>(bytes.size()) >> (8 * i)) & 0xff);
  }
  add(std::string_view(length.data(), length.size()));
  add(bytes);
}

Sha256Digest Sha256::finish() {
  begin();
  Sha256Digest digest{};
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1 && size == digest.size());
  begun_ = false;
  return digest;
}

Sha256Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 15]);
  }
  return text;
}

void random_bytes(std::span<std::uint8_t> bytes) {
  check(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

std::size_t DigestHash::operator()(const Sha256Digest& digest) const noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace deepseek::base
