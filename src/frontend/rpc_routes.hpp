// Which method of the gRPC service a request calls: a call by its path, or an HTTP request by the
// service's annotations.
//
// Pure; the tables are made once from the service's descriptor and never change.
#pragma once

#include "frontend/endpoint_table.hpp"
#include "io/http_message.hpp"
#include "protocol/decode.hpp"
#include "protocol/rpc/rpc_codec.hpp"
#include "protocol/rpc/rpc_method.hpp"

#include <span>

namespace deepseek::frontend {

// The service's methods as HTTP has them; Endpoint::rpc_json.
std::span<const EndpointRow> rpc_http_table();

// As find_endpoint(), for calls as well; those are Endpoint::rpc_binary.
base::Result<Route> find_route(const io::HttpRequest& request);
// metric_label() of either.
std::string_view route_label(const io::HttpRequest& request);

// Of a row with Endpoint::rpc_json or rpc_binary.
const protocol::RpcRow& rpc_row(const EndpointRow& row);
inline protocol::RpcCodec rpc_codec(Endpoint endpoint) {
  return endpoint == Endpoint::rpc_binary ? protocol::RpcCodec::binary : protocol::RpcCodec::json;
}
inline bool is_rpc(Endpoint endpoint) {
  return endpoint == Endpoint::rpc_json || endpoint == Endpoint::rpc_binary;
}

base::Result<protocol::Request> decode_rpc_request(Endpoint endpoint,
                                                   const io::HttpRequest& request,
                                                   const protocol::DecodeContext& context);

}  // namespace deepseek::frontend
