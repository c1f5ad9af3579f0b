// What the end of a call means: an error for the client, and a FailureKind for the plan.
//
// Pure.
#pragma once

#include "gateway/backend.hpp"
#include "io/grpc_client.hpp"

#include <string_view>

namespace deepseek::gateway {

struct GrpcFailure {
  base::Error error;
  AttemptFailure failure;
};

// `end` is not a good one; `answering`: pieces of the answer had come; `backend` is its name.
GrpcFailure describe_grpc_end(const io::GrpcEnd& end, std::string_view backend, bool answering);

}  // namespace deepseek::gateway
