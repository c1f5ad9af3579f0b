// Asks another server's standard health service (grpc.health.v1) whether it takes calls.
//
// A coroutine on any executor.
#pragma once

#include "gateway/grpc/grpc_backend.hpp"

namespace deepseek::gateway {

// SERVING is a sign of life.
boost::asio::awaitable<bool> check_grpc_health(GrpcBackend& backend,
                                               boost::asio::any_io_executor executor,
                                               base::Milliseconds timeout);

}  // namespace deepseek::gateway
