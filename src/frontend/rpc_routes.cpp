#include "frontend/rpc_routes.hpp"

#include "protocol/quote.hpp"
#include "protocol/rpc/rpc_decode.hpp"

#include <string>
#include <vector>

namespace deepseek::frontend {
namespace {

using protocol::RpcRow;

EndpointRow http_row(const RpcRow& row) {
  return {row.http_method,    row.http_path,
          Endpoint::rpc_json, row.http_body ? BodyForm::json : BodyForm::none,
          row.http_path,      "A method of the gRPC service, as JSON"};
}

EndpointRow call_row(const RpcRow& row) {
  return {"POST",         row.rpc_path,  Endpoint::rpc_binary,
          BodyForm::none, row.rpc_label, "A method of the gRPC service"};
}

std::vector<EndpointRow> make_rows(EndpointRow (*make)(const RpcRow&)) {
  std::vector<EndpointRow> rows;
  for (const RpcRow& row : protocol::rpc_table()) rows.push_back(make(row));
  return rows;
}

std::span<const EndpointRow> call_table() {
  static const std::vector<EndpointRow> rows = make_rows(call_row);
  return rows;
}

const EndpointRow* find_call(std::string_view path) {
  for (const EndpointRow& row : call_table()) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

}  // namespace

std::span<const EndpointRow> rpc_http_table() {
  static const std::vector<EndpointRow> rows = make_rows(http_row);
  return rows;
}

base::Result<Route> find_route(const io::HttpRequest& request) {
  if (!request.grpc) return find_endpoint(request.method, request.path);
  if (const EndpointRow* const row = find_call(request.path)) return Route{row, {}};
  return base::make_error(base::ErrorCode::method_not_allowed,
                          "there is no method " + protocol::quoted(request.path));
}

std::string_view route_label(const io::HttpRequest& request) {
  if (!request.grpc) return metric_label(request.path);
  const EndpointRow* const row = find_call(request.path);
  return row == nullptr ? "other" : row->label;
}

const RpcRow& rpc_row(const EndpointRow& row) {
  const std::span<const EndpointRow> table =
      row.endpoint == Endpoint::rpc_binary ? call_table() : rpc_http_table();
  return protocol::rpc_table()[static_cast<std::size_t>(&row - table.data())];
}

base::Result<protocol::Request> decode_rpc_request(Endpoint endpoint,
                                                   const io::HttpRequest& request,
                                                   const protocol::DecodeContext& context) {
  auto route = find_route(request);
  if (route.has_error()) return route.error();
  return protocol::decode_rpc_answer(rpc_row(*route->row).method, rpc_codec(endpoint), request.body,
                                     context);
}

}  // namespace deepseek::frontend
