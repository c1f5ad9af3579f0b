// SHA-256 and random bytes, over OpenSSL.
//
// Pure but for random_bytes(), which asks the operating system. A Sha256 belongs to one thread and
// may be used again after finish(); making one costs an allocation, so hot paths keep theirs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace deepseek::base {

using Sha256Digest = std::array<std::uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&& other) noexcept;

  // Throws std::runtime_error only when OpenSSL itself is broken.
  void add(std::string_view bytes);
  // The bytes with their length before them, so that "a" + "bc" and "ab" + "c" differ.
  void add_field(std::string_view bytes);
  // The digest of all that was added; afterwards the object is as new.
  Sha256Digest finish();

 private:
  void begin();
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool begun_ = false;
};

Sha256Digest sha256(std::string_view bytes);

// Lower-case hexadecimal.
std::string to_hex(std::span<const std::uint8_t> bytes);

// Fills `bytes` from the operating system's generator, fit for keys and salts.
void random_bytes(std::span<std::uint8_t> bytes);

// A digest is as good as random, so its first bytes are its hash; for std::unordered_map.
struct DigestHash {
  std::size_t operator()(const Sha256Digest& digest) const noexcept;
};

}  // namespace deepseek::base
