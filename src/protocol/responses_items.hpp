// Items of the Responses form between requests: as they are kept, listed, and put before the items
// of the next request.
//
// Pure. What is kept was read and found valid before; it is read again as a client's body would be.
#pragma once

#include "base/result.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace deepseek::protocol {

// One response of a conversation: what it was given and what it said, each a JSON list of items.
// Views into what the store gave.
struct EarlierItems {
  std::string_view input;
  std::string_view output;  // empty: it is not part of what is asked for
};

// Puts what was said before, the oldest first, before the new items of `request` and behind its
// instructions, if it is `instructed`: those of earlier responses are not among their items.
// invalid_request, with previous_response_id, for a conversation that is over a limit.
base::Result<void> put_before(Request& request, bool instructed,
                              std::span<const EarlierItems> earlier, const RequestLimits& limits);

// ResponsesFields::input_items as one JSON list; their ids are made from the response's.
std::string stored_items(std::string_view response_id, std::span<const std::string> items);

// GET /v1/responses/{id}/input_items
struct ItemsQuery {
  std::size_t limit = 20;  // 1 to 100
  bool descending = true;  // the newest first
  std::string after;       // the id behind which the page begins; empty: from the start
};
// invalid_request with the name of the query's field.
base::Result<ItemsQuery> read_items_query(
    std::span<const std::pair<std::string, std::string>> query);
// The conversation that a response answered, as one page of a list. invalid_request if it has no
// item `after`.
base::Result<std::string> items_body(std::span<const EarlierItems> earlier,
                                     const ItemsQuery& query);

// DELETE /v1/responses/{id}
std::string deleted_response_body(std::string_view id);

}  // namespace deepseek::protocol
