// Messages of proto/deepseek/v1 to and from bytes: protobuf's binary form, or its JSON.
//
// Pure; private to this folder, whose other headers show no protobuf.
#pragma once

#include "base/result.hpp"
#include "protocol/request_limits.hpp"
#include "protocol/rpc/rpc_codec.hpp"

#include <string>
#include <string_view>

namespace google::protobuf {
class Message;
}

namespace deepseek::protocol {

// invalid_request for bytes that are no such message. JSON: an object without doubled keys and
// fields that the message does not have; no text at all is an empty message.
base::Result<void> read_rpc(RpcCodec codec, std::string_view bytes, const RequestLimits& limits,
                            google::protobuf::Message& message);

std::string write_rpc(RpcCodec codec, const google::protobuf::Message& message);

// A piece of a stream: behind its length, as gRPC has it on the wire, or as a frame of events.
std::string write_rpc_piece(RpcCodec codec, const google::protobuf::Message& message);

}  // namespace deepseek::protocol
