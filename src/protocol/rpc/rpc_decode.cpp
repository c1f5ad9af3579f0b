#include "protocol/rpc/rpc_decode.hpp"

#include "protocol/json_reader.hpp"
#include "protocol/rpc/rpc_message.hpp"
#include "protocol/rpc/rpc_tree.hpp"

#include "deepseek/v1/request.pb.h"
#include "deepseek/v1/service.pb.h"

#include <utility>

namespace deepseek::protocol {
namespace {

constexpr std::int32_t generate_tokens_max = 256;

namespace json = boost::json;

// Where a text holds the character NUL; empty if none does.
std::string place_of_nul(const json::value& value, const std::string& path) {
  if (const auto* text = value.if_string()) {
    return text->find('\0') == json::string::npos ? std::string() : path;
  }
  if (const auto* list = value.if_array()) {
    for (std::size_t index = 0; index < list->size(); ++index) {
      std::string found = place_of_nul((*list)[index], entry_path(path, index));
      if (!found.empty()) return found;
    }
  }
  if (const auto* object = value.if_object()) {
    for (const auto& [name, member] : *object) {
      std::string inner = (path.empty() ? "" : path + ".") + std::string(name);
      std::string found = place_of_nul(member, inner);
      if (!found.empty()) return found;
    }
  }
  return {};
}

template <class Message>
base::Result<json::object> read_tree(RpcCodec codec, std::string_view body,
                                     const RequestLimits& limits) {
  Message message;
  auto read = read_rpc(codec, body, limits, message);
  if (read.has_error()) return read.error();
  auto tree = rpc_tree(message, limits);
  if (tree.has_error() || codec == RpcCodec::json) return tree;  // JSON was read without any
  std::string place = place_of_nul(*tree, "");
  if (place.empty()) return tree;
  place = rpc_param(place);
  return base::make_error(base::ErrorCode::invalid_request,
                          place + " holds the character NUL, which is not accepted", place);
}

base::Error own_words(base::Error error) {
  const std::string theirs = error.param;
  error.param = rpc_param(theirs);
  if (error.param == theirs) return error;
  for (std::size_t at = error.message.find(theirs); at != std::string::npos;
       at = error.message.find(theirs, at + error.param.size())) {
    error.message.replace(at, theirs.size(), error.param);
  }
  return error;
}

}  // namespace

base::Result<Request> decode_rpc_answer(RpcMethod method, RpcCodec codec, std::string_view body,
                                        const DecodeContext& context) {
  const bool chat = method == RpcMethod::chat || method == RpcMethod::stream_chat;
  auto tree = chat ? read_tree<v1::ChatRequest>(codec, body, context.limits)
                   : read_tree<v1::GenerateRequest>(codec, body, context.limits);
  if (tree.has_error()) return tree.error();
  auto request =
      chat ? decode_chat_object(*tree, context) : decode_completions_object(*tree, context);
  if (request.has_error()) return own_words(request.error());
  request->form = ClientForm::other;  // no upstream's own bytes
  request->stream = method == RpcMethod::stream_chat || method == RpcMethod::stream_generate;
  request->stream_usage = request->stream;
  request->constraint.param = rpc_param(request->constraint.param);
  for (FeatureUse& use : request->features) use.param = rpc_param(use.param);
  if (request->tokens_max_assumed) request->tokens_max = generate_tokens_max;
  return request;
}

base::Result<EmbeddingRequest> decode_rpc_embed(RpcCodec codec, std::string_view body,
                                                const DecodeContext& context) {
  auto tree = read_tree<v1::EmbedRequest>(codec, body, context.limits);
  if (tree.has_error()) return tree.error();
  return decode_embeddings_object(*tree, context);
}

base::Result<void> decode_rpc_empty(RpcMethod method, RpcCodec codec, std::string_view body,
                                    const DecodeContext& context) {
  if (method == RpcMethod::health) {
    v1::HealthRequest message;
    return read_rpc(codec, body, context.limits, message);
  }
  v1::ListModelsRequest message;
  return read_rpc(codec, body, context.limits, message);
}

}  // namespace deepseek::protocol
