// Requests of deepseek.v1.DeepSeekService as neutral ones.
//
// Pure and thread-safe. `param` of an error is the field's path in the message.
#pragma once

#include "base/result.hpp"
#include "protocol/decode.hpp"
#include "protocol/rpc/rpc_codec.hpp"
#include "protocol/rpc/rpc_method.hpp"

#include <string_view>

namespace deepseek::protocol {

// `method` is generate, chat or one of their streams.
base::Result<Request> decode_rpc_answer(RpcMethod method, RpcCodec codec, std::string_view body,
                                        const DecodeContext& context);

base::Result<EmbeddingRequest> decode_rpc_embed(RpcCodec codec, std::string_view body,
                                                const DecodeContext& context);

// list_models and health, which ask for nothing more.
base::Result<void> decode_rpc_empty(RpcMethod method, RpcCodec codec, std::string_view body,
                                    const DecodeContext& context);

}  // namespace deepseek::protocol
