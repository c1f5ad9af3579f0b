// A chat request for the engine: messages, tools, and what the answer's text must be.
//
// Pure.
#pragma once

#include "protocol/request.hpp"

#include "deepseek/engine/v1/engine.pb.h"

namespace deepseek::gateway {

namespace wire = ::deepseek::engine::v1;

void set_chat(const protocol::Request& request, wire::Chat& chat);
void set_constraint(const protocol::Constraint& constraint, wire::Constraint& told);

}  // namespace deepseek::gateway
