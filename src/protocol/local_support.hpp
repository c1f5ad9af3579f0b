// What a request may ask for that the engine of this machine cannot do yet, and its refusal: the
// one place where a backend that can do it lifts it.
//
// Pure. The decoders note every such use in Request::features; the backend of a local engine calls
// this before it starts.
#pragma once

#include "base/result.hpp"
#include "protocol/request.hpp"

namespace deepseek::protocol {

// What one of them can do beyond what all can.
struct LocalModel {
  bool sees_images = false;
};

// not_implemented with the `param` of the first feature that local engines lack; success otherwise.
base::Result<void> check_local_support(const Request& request, const LocalModel& model = {});

}  // namespace deepseek::protocol
