// How many tokens a chat of Anthropic's form has: exactly where the model's backend tells its
// tokens, as an estimate otherwise.
//
// Lives on its coroutine's thread, inside the request that it refers to. A client that leaves
// cancels the call.
#pragma once

#include "frontend/request_record.hpp"
#include "frontend/snapshot.hpp"
#include "io/http_handler.hpp"

#include <boost/asio/awaitable.hpp>
#include <memory>

namespace deepseek::frontend {

// All that is passed by reference outlives the coroutine. Errors: those of the key, the body and
// the route, and what the backend refuses.
boost::asio::awaitable<base::Result<std::int64_t>> count_tokens(
    std::shared_ptr<const Snapshot> snapshot, const io::HttpRequest& request,
    io::HttpResponder& responder, RequestRecord& record);

}  // namespace deepseek::frontend
