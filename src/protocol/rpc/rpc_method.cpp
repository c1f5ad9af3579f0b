#include "protocol/rpc/rpc_method.hpp"

#include "deepseek/v1/service.pb.h"
#include "google/api/annotations.pb.h"

#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

namespace deepseek::protocol {
namespace {

namespace pb = google::protobuf;

constexpr std::array<std::pair<std::string_view, RpcMethod>, 7> methods{{
    {"Generate", RpcMethod::generate},
    {"StreamGenerate", RpcMethod::stream_generate},
    {"Chat", RpcMethod::chat},
    {"StreamChat", RpcMethod::stream_chat},
    {"Embed", RpcMethod::embed},
    {"ListModels", RpcMethod::list_models},
    {"Health", RpcMethod::health},
}};

RpcMethod method_named(const std::string& name) {
  for (const auto& [known, method] : methods) {
    if (known == name) return method;
  }
  throw std::logic_error("service.proto: nobody answers " + name);
}

void read_rule(const google::api::HttpRule& rule, RpcRow& row) {
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      row.http_method = "GET";
      row.http_path = rule.get();
      break;
    case google::api::HttpRule::kPost:
      row.http_method = "POST";
      row.http_path = rule.post();
      break;
    default:
      throw std::logic_error("service.proto: " + row.rpc_path + " has no get or post");
  }
  row.http_body = rule.body() == "*";
  const bool plain = row.http_path.find('{') == std::string::npos && rule.response_body().empty() &&
                     rule.additional_bindings().empty();
  if (!plain || row.http_body != (row.http_method == "POST")) {
    throw std::logic_error("service.proto: " + row.rpc_path +
                           " needs more of google.api.http than this server has: variables, "
                           "further bindings or a part as body");
  }
}

std::vector<RpcRow> make_table() {
  const pb::FileDescriptor* const file = v1::HealthRequest::descriptor()->file();
  const pb::ServiceDescriptor* const service = file->FindServiceByName("DeepSeekService");
  if (service == nullptr) throw std::logic_error("service.proto is not part of this program");
  std::vector<RpcRow> rows;
  for (int i = 0; i < service->method_count(); ++i) {
    const pb::MethodDescriptor& method = *service->method(i);
    RpcRow row;
    row.method = method_named(method.name());
    row.rpc_path = "/" + service->full_name() + "/" + method.name();
    row.rpc_label = "grpc/" + method.name();
    row.streams = method.server_streaming();
    read_rule(method.options().GetExtension(google::api::http), row);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::span<const RpcRow> rpc_table() {
  static const std::vector<RpcRow> rows = make_table();
  return rows;
}

const RpcRow* find_rpc(std::string_view rpc_path) {
  for (const RpcRow& row : rpc_table()) {
    if (row.rpc_path == rpc_path) return &row;
  }
  return nullptr;
}

}  // namespace deepseek::protocol
