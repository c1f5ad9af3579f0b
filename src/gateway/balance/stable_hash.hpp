// A 64-bit hash that is the same in every process, on every machine and in every version, so that
// several gateways agree on where a key belongs.
//
// Pure. Not for secrets, and not against an attacker who knows the seed.
#pragma once

#include <cstdint>
#include <string_view>

namespace deepseek::gateway {

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0);

}  // namespace deepseek::gateway
