#include "gateway/grpc/grpc_health.hpp"

#include <string_view>

namespace deepseek::gateway {
namespace {

constexpr std::string_view path = "/grpc.health.v1.Health/Check";
// HealthCheckResponse{status: SERVING}: field 1, a varint.
constexpr std::string_view serving("\x08\x01", 2);

}  // namespace

boost::asio::awaitable<bool> check_grpc_health(GrpcBackend& backend,
                                               boost::asio::any_io_executor executor,
                                               base::Milliseconds timeout) {
  const base::TimePoint by = base::now() + timeout;
  // An empty HealthCheckRequest means the server as a whole.
  auto call = backend.call(executor, path, {}, {}, by);
  auto answer = co_await call->read(by);
  const bool well = answer.has_value() && answer->has_value() && (*answer)->starts_with(serving);
  if (!well) co_return false;
  [[maybe_unused]] auto ended = co_await call->read(by);
  co_return true;
}

}  // namespace deepseek::gateway
