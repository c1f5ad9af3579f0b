// Answers of deepseek.v1.DeepSeekService, in either codec.
//
// Pure. The encoders never fail.
#pragma once

#include "protocol/encode.hpp"
#include "protocol/rpc/rpc_codec.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// Pieces of AnswerChunk. Binary ones stand behind their length, and there is none for an error: a
// call has a status for that.
std::unique_ptr<StreamEncoder> make_rpc_stream(RpcCodec codec, const AnswerHead& head,
                                               const Request& request);
std::string rpc_answer_body(RpcCodec codec, const AnswerHead& head, const Request& request,
                            const Answer& answer);

std::string rpc_embed_body(RpcCodec codec, std::string_view model,
                           std::span<const std::vector<float>> vectors, std::int64_t prompt_tokens);
std::string rpc_models_body(RpcCodec codec, std::span<const ModelCard> models);

struct RpcModelHealth {
  std::string model;
  std::string state;
  std::string reason;
};
struct RpcHealth {
  bool draining = false;
  std::string_view version;
  std::int64_t uptime_seconds = 0;
  std::vector<RpcModelHealth> models;
};
std::string rpc_health_body(RpcCodec codec, const RpcHealth& health);

}  // namespace deepseek::protocol
