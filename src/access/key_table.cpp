#include "access/key_table.hpp"

#include <algorithm>
#include <map>

namespace deepseek::access {
namespace {

using base::Error;
using base::ErrorCode;

constexpr double weight_max = 1'000'000;

Error unauthenticated(std::string message) {
  return base::make_error(ErrorCode::unauthenticated, std::move(message));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_key_character(char c) {
  return c > ' ' && c < 0x7f;
}

bool is_name_character(char c) {
  return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

bool equal_without_case(std::string_view left, std::string_view lower) {
  return std::ranges::equal(left, lower, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

// "Bearer KEY", the scheme in any case and followed by one space or more, as RFC 9110 has it.
base::Result<std::string_view> bearer_key(std::string_view value) {
  const std::size_t space = value.find(' ');
  if (!equal_without_case(value.substr(0, space), "bearer")) {
    return unauthenticated(
        "the Authorization header is not in the form `Bearer KEY`: send "
        "`Authorization: Bearer KEY` or `x-api-key: KEY`");
  }
  const std::size_t start = value.find_first_not_of(' ', std::min(space, value.size()));
  return start == std::string_view::npos ? std::string_view() : value.substr(start);
}

base::Result<std::string_view> key_of(const Credentials& credentials) {
  if (!credentials.authorization && !credentials.x_api_key) {
    return unauthenticated(
        "this server needs an API key: send it as `Authorization: Bearer KEY` "
        "or as `x-api-key: KEY`");
  }
  if (!credentials.authorization) return *credentials.x_api_key;
  base::Result<std::string_view> key = bearer_key(*credentials.authorization);
  if (key && credentials.x_api_key && *key != *credentials.x_api_key) {
    return unauthenticated("Authorization and x-api-key hold different keys: send one of them");
  }
  return key;
}

std::optional<std::string> fault_of_key(std::string_view key) {
  if (key.empty()) return "the key is empty: give one, or set its environment variable";
  if (key.size() > key_bytes_max) {
    return "the key has " + std::to_string(key.size()) + " bytes, at most " +
           std::to_string(key_bytes_max) + " are allowed";
  }
  if (!std::ranges::all_of(key, is_key_character)) {
    return "the key holds a space, a control character or one beyond ASCII, which no header can "
           "carry";
  }
  return std::nullopt;
}

std::optional<std::string> fault_of_name(std::string_view name) {
  if (!name.empty() && name.size() <= tenant_name_bytes_max &&
      std::ranges::all_of(name, is_name_character)) {
    return std::nullopt;
  }
  return "a tenant's name is 1 to " + std::to_string(tenant_name_bytes_max) +
         " letters, digits, '.', '_' or '-'";
}

std::optional<Error> fault_of_entry(const StaticKey& entry, const std::string& path) {
  const auto refuse = [&](std::string_view field, std::string message) {
    std::string param = path + "." + std::string(field);
    message = param + ": " + message;
    return base::make_error(ErrorCode::invalid_request, std::move(message), std::move(param));
  };
  if (auto fault = fault_of_key(entry.key)) return refuse("key", std::move(*fault));
  if (auto fault = fault_of_name(entry.tenant)) return refuse("tenant", std::move(*fault));
  if (!(entry.weight > 0 && entry.weight <= weight_max)) {
    return refuse("weight", "must be above 0 and at most 1000000");
  }
  if (entry.priority_max < 0) return refuse("priority_max", "must not be negative");
  return std::nullopt;
}

std::string random_salt() {
  std::array<std::uint8_t, 16> bytes{};
  base::random_bytes(bytes);
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

KeyTable::KeyTable() : salt_(random_salt()) {}

base::Result<KeyTable> KeyTable::build(std::span<const StaticKey> keys) {
  KeyTable table;
  std::map<std::string_view, double> weights;
  table.tenants_.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const StaticKey& entry = keys[i];
    const std::string path = "access.keys[" + std::to_string(i) + "]";
    if (auto fault = fault_of_entry(entry, path)) return std::move(*fault);
    const double weight = weights.try_emplace(entry.tenant, entry.weight).first->second;
    if (weight != entry.weight) {
      return base::make_error(ErrorCode::invalid_request,
                              path + ".weight: another key of the tenant " + entry.tenant +
                                  " has a different weight; a tenant has one",
                              path + ".weight");
    }
    const auto [at, inserted] = table.tenants_.try_emplace(
        table.digest(entry.key),
        Tenant{entry.tenant, entry.weight, entry.priority_max, entry.balance});
    if (!inserted) {
      return base::make_error(ErrorCode::invalid_request,
                              path + ".key: the same key is there twice, first for the tenant " +
                                  at->second.name + "; give each entry its own",
                              path + ".key");
    }
  }
  return table;
}

base::Result<const Tenant*> KeyTable::authenticate(const Credentials& credentials) const {
  if (!needs_key()) return &everybody_;
  const base::Result<std::string_view> key = key_of(credentials);
  if (!key) return key.error();
  // What can be no key is refused here, so that nobody makes us hash megabytes.
  if (fault_of_key(*key)) {
    return unauthenticated(
        "the API key is empty, too long or has characters that no key has: "
        "send it as `Authorization: Bearer KEY` or as `x-api-key: KEY`");
  }
  const auto found = tenants_.find(digest(*key));
  if (found == tenants_.end()) {
    return unauthenticated(
        "the API key is not known here: check the key that is sent as "
        "`Authorization: Bearer KEY` or as `x-api-key: KEY`");
  }
  return &found->second;
}

base::Sha256Digest KeyTable::digest(std::string_view key) const {
  thread_local base::Sha256 hash;
  hash.add(salt_);
  hash.add(key);
  return hash.finish();
}

}  // namespace deepseek::access
