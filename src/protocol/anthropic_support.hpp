// What a request may ask for that Anthropic's form has no words for, and its refusal.
//
// Pure. The backend of such an upstream asks this before it sends anything, so that another one
// gets the request.
#pragma once

#include "base/result.hpp"
#include "protocol/request.hpp"

namespace deepseek::protocol {

// not_implemented with the `param` of what cannot be asked for; success otherwise, and always for a
// client of the same form. `continues`: whether the upstream goes on with a last message of the
// assistant. What only steers the dice (seed, penalties, min_p) is no reason to refuse.
base::Result<void> check_anthropic_support(const Request& request, bool continues);

}  // namespace deepseek::protocol
