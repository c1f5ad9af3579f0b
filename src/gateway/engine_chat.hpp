// A chat request for the engine: messages, tools, and what the answer's text must be.
//
// Pure.
#pragma once

#include "gateway/request_images.hpp"
#include "protocol/request.hpp"

#include "deepseek/engine/v1/engine.pb.h"

namespace deepseek::gateway {

namespace wire = ::deepseek::engine::v1;

// `images`: the files of the request's images, in its order; empty: they are left out.
void set_chat(const protocol::Request& request, wire::Chat& chat, const ImageFiles& images = {});
void set_constraint(const protocol::Constraint& constraint, wire::Constraint& told);

}  // namespace deepseek::gateway
