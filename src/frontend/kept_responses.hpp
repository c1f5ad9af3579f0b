// What the Responses form keeps between requests: the conversation that a request goes on from, the
// response after it, and the pages of what is kept.
//
// Coroutines of the request that calls them, on its thread; what they refer to outlives them. The
// store does its work elsewhere.
#pragma once

#include "frontend/endpoint_table.hpp"
#include "frontend/request_record.hpp"
#include "frontend/snapshot.hpp"
#include "io/http_message.hpp"
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"

#include <boost/asio/awaitable.hpp>
#include <string_view>

namespace deepseek::frontend {

// Puts what was said before the request into it, if it goes on from a response.
// not_found, which recall_error() words, if that is not kept or is another tenant's.
boost::asio::awaitable<base::Result<void>> recall(const Snapshot& snapshot, std::string_view tenant,
                                                  const protocol::ResponsesFields& fields,
                                                  protocol::Request& request);

// The refusal after a failed recall(). OpenAI answers what is not kept with 400 and a code of its
// own: the address was right, a field was not.
io::HttpResponse recall_error(const base::Error& error, const RequestRecord& record);

// Keeps the response to a request with these fields. False if that could not be done: the answer is
// given nevertheless, and must say so. The log and the metrics have the reason.
boost::asio::awaitable<bool> keep(const Snapshot& snapshot, std::string_view tenant,
                                  const protocol::ResponsesFields& fields,
                                  protocol::ResponseText text);

// GET and DELETE /v1/responses/{id}, GET …/input_items, POST …/cancel.
boost::asio::awaitable<io::HttpResponse> response_page(const Snapshot& snapshot, const Route& route,
                                                       const io::HttpRequest& request,
                                                       RequestRecord& record);

}  // namespace deepseek::frontend
