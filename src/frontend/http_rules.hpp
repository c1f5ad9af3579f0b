// Decisions on the head of a request: its id, whether its body can be JSON, and which fields an
// error carries.
//
// Pure. Values in, values out; randomness comes as an argument.
#pragma once

#include "base/error.hpp"
#include "base/result.hpp"
#include "frontend/endpoint_table.hpp"
#include "io/http_message.hpp"
#include "protocol/encode.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::frontend {

// At most 128 of [A-Za-z0-9._-]: nothing that could break a log line or a header.
bool is_sane_request_id(std::string_view id);

// What the client sent in X-Request-Id if it is sane, else `made`.
std::string choose_request_id(const io::HttpRequest& request, std::string made);

// unsupported_media_type for a body that says it is no JSON, or that is compressed. A missing type,
// and curl's form type, are taken as JSON.
base::Result<void> check_body_form(const EndpointRow& row, const io::HttpRequest& request);

// The form of errors on a path, whether there is such an endpoint or not.
protocol::ErrorForm error_form(std::string_view path);

// A JSON answer that carries the request id, as X-Request-Id and as the form calls it.
io::HttpResponse json_response(int status, std::string body, std::string_view request_id,
                               protocol::ErrorForm form = protocol::ErrorForm::openai);

// An error with its status, and Retry-After where coming again helps.
io::HttpResponse error_response(const base::Error& error, std::string_view request_id,
                                protocol::ErrorForm form = protocol::ErrorForm::openai);

// The head of an event stream.
io::HttpResponse stream_response(std::string_view request_id,
                                 protocol::ErrorForm form = protocol::ErrorForm::openai);

}  // namespace deepseek::frontend
