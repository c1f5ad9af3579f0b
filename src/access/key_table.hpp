// Static keys: from the headers of a request to its tenant.
//
// Immutable once built, so any thread may use it; a new configuration is a new table behind a
// shared_ptr. It keeps no key, only digests: SHA-256 over a salt, drawn at random for each table,
// and the whole key. A key is found by its digest in a hash map, so the time taken tells nothing of
// the keys that exist, and no text of a client is ever part of a query. No message, and nothing
// that can be logged, holds a key.
#pragma once

#include "access/tenant.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace deepseek::access {

// Longer ones are refused before they are hashed.
inline constexpr std::size_t key_bytes_max = 512;
inline constexpr std::size_t tenant_name_bytes_max = 64;

// One entry of `access.keys`.
struct StaticKey {
  std::string key;
  std::string tenant;
  double weight = 1;
  std::int32_t priority_max = 0;
  std::string balance{};
};

// The two places where clients put their key. Each is the value of the only header of that name;
// the caller refuses a request that has a name twice.
struct Credentials {
  std::optional<std::string_view> authorization;
  std::optional<std::string_view> x_api_key;
};

class KeyTable {
 public:
  // Nobody needs a key: everybody is the tenant "default".
  KeyTable();

  // invalid_request, with the entry in `param` as "access.keys[2].key", for: a key that is empty,
  // too long, not printable ASCII or there twice; a name that is not 1 to 64 of A-Z a-z 0-9 . _ -;
  // a weight that is not in (0, 1,000,000]; a negative priority; keys of one tenant with different
  // weights. An empty list makes the same table as KeyTable().
  static base::Result<KeyTable> build(std::span<const StaticKey> keys);

  // The tenant, which lives as long as the table; unauthenticated for a key that is missing, not
  // known or in a form that is not understood. Both headers may be there if they agree.
  base::Result<const Tenant*> authenticate(const Credentials& credentials) const;

  bool needs_key() const { return !tenants_.empty(); }
  std::size_t size() const { return tenants_.size(); }

 private:
  base::Sha256Digest digest(std::string_view key) const;

  std::string salt_;
  std::unordered_map<base::Sha256Digest, Tenant, base::DigestHash> tenants_;
  Tenant everybody_;
};

}  // namespace deepseek::access
