#include "gateway/grpc/grpc_backend.hpp"

#include "gateway/grpc/grpc_embedding.hpp"
#include "gateway/grpc/grpc_stream.hpp"
#include "io/io_threads.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

base::Result<std::unique_ptr<GrpcBackend>> GrpcBackend::make(GrpcBackendOptions options,
                                                             std::size_t threads) {
  std::unique_ptr<GrpcBackend> made(new GrpcBackend(std::move(options)));
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) {
    auto channel = io::GrpcChannel::make(made->options_.channel);
    if (channel.has_error()) return channel.error();
    made->channels_.push_back(std::move(*channel));
  }
  return made;
}

GrpcBackend::~GrpcBackend() = default;

std::unique_ptr<EventStream> GrpcBackend::start(const Attempt& attempt) {
  return std::make_unique<GrpcStream>(*this, attempt);
}

std::unique_ptr<EmbeddingCall> GrpcBackend::embed(const EmbeddingAttempt& attempt) {
  return std::make_unique<GrpcEmbedding>(*this, attempt);
}

BackendStatus GrpcBackend::status() const {
  BackendStatus status;
  status.state = BackendState::ready;
  status.progress = 1;
  return status;
}

std::unique_ptr<io::GrpcClientCall> GrpcBackend::call(boost::asio::any_io_executor executor,
                                                      std::string_view path,
                                                      std::string_view request_id,
                                                      std::string message, base::TimePoint end_by) {
  io::HttpFields fields;
  if (!options_.api_key.empty()) fields.add("authorization", "Bearer " + options_.api_key);
  if (!request_id.empty()) fields.add("x-request-id", request_id);
  io::GrpcChannel& channel = *channels_[std::min(io::IoThreads::current(), channels_.size() - 1)];
  return std::make_unique<io::GrpcClientCall>(channel, std::move(executor), path, fields,
                                              std::move(message), end_by);
}

}  // namespace deepseek::gateway
