// The one table of endpoints, and the decision which row a method and path mean.
//
// Pure. Paths match exactly, byte by byte and undecoded: a doubled slash, an escape, a trailing
// slash or dot, or another case is another path. Only an {id} is decoded. Who may call what, and
// the label of metrics, hang on the row, never on the path that came.
#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>

namespace deepseek::frontend {

enum class Endpoint {
  root,
  web_file,
  health,
  ready,
  models,
  model,
  chat,
  completions,
  embeddings,
  rerank,
  tokenize,
  detokenize,
  balance,
  infer,
  generate,
  messages,
  responses,
  response,        // one that is kept: GET, DELETE
  response_items,  // what it was given
  response_cancel,
  count_tokens,
  rpc_json,    // a method of the gRPC service, over HTTP
  rpc_binary,  // the same as a call of gRPC
};

enum class BodyForm { none, json, optional_json };

struct EndpointRow {
  std::string_view method;  // GET also answers HEAD
  std::string_view path;    // may hold "{id}" once; at its end an id may have slashes
  Endpoint endpoint;
  BodyForm body;
  std::string_view label;  // of metrics and logs: the path under /v1, for every way to write it
  std::string_view about;
};

std::span<const EndpointRow> endpoint_table();

struct Route {
  const EndpointRow* row = nullptr;
  std::string id;  // decoded
};

// not_found or method_not_allowed; the message names the method and a quoted, bounded path.
base::Result<Route> find_endpoint(std::string_view method, std::string_view path);

// The value of the Allow field: "GET, HEAD"; empty for a path that does not exist.
std::string allowed_methods(std::string_view path);

// The row's label, or "other": what a metric may show of any request.
std::string_view metric_label(std::string_view path);

// The method itself if HTTP has it, or "other".
std::string_view known_method(std::string_view method);

}  // namespace deepseek::frontend
