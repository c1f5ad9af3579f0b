// A neutral request as a body of OpenAI's form, for upstreams, when the client's own body has
// another form.
//
// Pure; linear in the size of the request.
#pragma once

#include "protocol/request.hpp"

#include <string>

namespace deepseek::protocol {

// A body for /chat/completions (Operation::chat) or /completions. Holds what the neutral request
// holds: of Request::features images, tools and the constraint; the decoders of other forms refuse
// the rest.
std::string openai_body(const Request& request);

}  // namespace deepseek::protocol
