// Another deepseek-server, called over gRPC, as a Backend.
//
// Made by main(), used by all I/O threads, each with a channel of its own; immutable otherwise. It
// must be destroyed when no I/O thread runs any more. It tries nothing twice.
#pragma once

#include "gateway/backend.hpp"
#include "io/grpc_client.hpp"
#include "protocol/continuation_kind.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct GrpcBackendOptions {
  std::string name;
  io::GrpcChannelOptions channel;
  std::string api_key;                                                 // may be empty
  std::map<std::string, std::string> upstream_models;                  // our name → its name
  protocol::Continuation continuation = protocol::Continuation::none;  // or prefix
  base::Milliseconds gap_timeout{60'000};  // between two pieces of an answer

  // The upstream's name of our model.
  const std::string& name_there(const std::string& model) const {
    const auto renamed = upstream_models.find(model);
    return renamed == upstream_models.end() ? model : renamed->second;
  }
};

class GrpcBackend final : public Backend {
 public:
  // `threads`: how many I/O threads there are. Error: invalid_request, for a trust file that cannot
  // be read.
  static base::Result<std::unique_ptr<GrpcBackend>> make(GrpcBackendOptions options,
                                                         std::size_t threads);
  ~GrpcBackend() override;

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) override;
  BackendStatus status() const override;  // always ready: its answers tell how it is

  const GrpcBackendOptions& options() const { return options_; }
  // Begins a call on this I/O thread's channel.
  std::unique_ptr<io::GrpcClientCall> call(boost::asio::any_io_executor executor,
                                           std::string_view path, std::string_view request_id,
                                           std::string message, base::TimePoint end_by);

 private:
  explicit GrpcBackend(GrpcBackendOptions options) : options_(std::move(options)) {}

  const GrpcBackendOptions options_;
  std::vector<std::unique_ptr<io::GrpcChannel>> channels_;  // by I/O thread
};

}  // namespace deepseek::gateway
