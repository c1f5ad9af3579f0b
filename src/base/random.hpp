// Random bits for spreading and choosing, quickly. Not for secrets.
//
// Any thread: each has a generator of its own, seeded by the system.
#pragma once

#include <cstdint>

namespace deepseek::base {

std::uint64_t random_bits();

}  // namespace deepseek::base
