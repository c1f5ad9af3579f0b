// The methods of deepseek.v1.DeepSeekService, and how each is called over HTTP: a table made from
// the service's descriptor and its google.api.http annotations.
//
// Pure. The table is made once, never changes, and may be read from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace deepseek::protocol {

enum class RpcMethod { generate, stream_generate, chat, stream_chat, embed, list_models, health };

struct RpcRow {
  RpcMethod method;
  std::string rpc_path;   // "/deepseek.v1.DeepSeekService/Chat"
  std::string rpc_label;  // of metrics and logs: "grpc/Chat"
  bool streams = false;   // the answer is a stream of messages
  std::string http_method;
  std::string http_path;   // a literal: this service has no variables in paths
  bool http_body = false;  // the request is the body; otherwise it is empty
};

// In the order of the file. Throws std::logic_error for an annotation that this server cannot
// serve: a mistake in the .proto file, found by the first test that runs.
std::span<const RpcRow> rpc_table();

// Null when there is none.
const RpcRow* find_rpc(std::string_view rpc_path);

inline constexpr std::string_view rpc_service = "deepseek.v1.DeepSeekService";

}  // namespace deepseek::protocol
