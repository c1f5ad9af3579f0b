#include "frontend/kept_responses.hpp"

#include "frontend/caller.hpp"
#include "frontend/http_rules.hpp"
#include "gateway/responses/response_store.hpp"
#include "protocol/quote.hpp"
#include "protocol/responses_items.hpp"

#include <string>
#include <utility>
#include <vector>

namespace deepseek::frontend {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

gateway::ChainBounds bounds_of(const Snapshot& snapshot) {
  gateway::ChainBounds bounds;
  bounds.links_max = snapshot.limits.messages_max;
  bounds.bytes_max = static_cast<std::int64_t>(snapshot.body_max);
  return bounds;
}

std::vector<protocol::EarlierItems> items_of(const std::vector<gateway::ResponseLink>& links) {
  std::vector<protocol::EarlierItems> items;
  items.reserve(links.size());
  for (const auto& link : links) items.push_back({link.input, link.output});
  return items;
}

base::Error no_such_response(std::string_view id) {
  return base::make_error(ErrorCode::not_found,
                          "there is no response with the id " + protocol::quoted(id));
}

base::Error no_store() {
  return base::make_error(ErrorCode::not_found,
                          "this server keeps no responses (responses.enabled)");
}

asio::awaitable<base::Result<std::string>> read_response(gateway::ResponseStore& store,
                                                         std::string_view tenant,
                                                         const std::string& id,
                                                         const io::HttpRequest& request) {
  for (const auto& [name, value] : io::parse_query(request.query)) {
    if (name != "stream" || value != "true") continue;
    co_return base::make_error(ErrorCode::not_implemented,
                               "stream: only a response that runs in the background can be "
                               "streamed later, and there are none here; leave it out",
                               "stream");
  }
  auto found = co_await store.find(std::string(tenant), id);
  if (found.has_error()) co_return found.error();
  if (!*found) co_return no_such_response(id);
  co_return std::move(**found);
}

asio::awaitable<base::Result<std::string>> erase_response(gateway::ResponseStore& store,
                                                          std::string_view tenant,
                                                          const std::string& id) {
  auto erased = co_await store.erase(std::string(tenant), id);
  if (erased.has_error()) co_return erased.error();
  if (!*erased) co_return no_such_response(id);
  co_return protocol::deleted_response_body(id);
}

// The items before the response's own output, whatever is left of them.
asio::awaitable<base::Result<std::string>> list_items(gateway::ResponseStore& store,
                                                      std::string_view tenant,
                                                      const std::string& id,
                                                      const io::HttpRequest& request,
                                                      gateway::ChainBounds bounds) {
  const auto query = protocol::read_items_query(io::parse_query(request.query));
  if (query.has_error()) co_return query.error();
  bounds.may_be_broken = true;
  auto links = co_await store.chain(std::string(tenant), id, bounds);
  if (links.has_error()) {
    if (links.error().code == ErrorCode::not_found) co_return no_such_response(id);
    co_return links.error();
  }
  std::vector<protocol::EarlierItems> items = items_of(*links);
  items.back().output = {};
  co_return protocol::items_body(items, *query);
}

asio::awaitable<base::Result<std::string>> cancel_response(gateway::ResponseStore& store,
                                                           std::string_view tenant,
                                                           const std::string& id) {
  auto found = co_await store.find(std::string(tenant), id);
  if (found.has_error()) co_return found.error();
  if (!*found) co_return no_such_response(id);
  co_return base::make_error(ErrorCode::invalid_request,
                             "only a response that runs in the background can be cancelled; this "
                             "one has ended");
}

asio::awaitable<base::Result<std::string>> page_body(const Snapshot& snapshot, const Route& route,
                                                     const io::HttpRequest& request,
                                                     RequestRecord& record) {
  const auto tenant = authenticate(*snapshot.keys, request.fields);
  if (tenant.has_error()) co_return tenant.error();
  record.tenant = (*tenant)->name;
  if (snapshot.responses == nullptr) co_return no_store();
  gateway::ResponseStore& store = *snapshot.responses;
  base::Result<std::string> body = no_store();
  if (route.row->endpoint == Endpoint::response_items) {
    body = co_await list_items(store, record.tenant, route.id, request, bounds_of(snapshot));
  } else if (route.row->endpoint == Endpoint::response_cancel) {
    body = co_await cancel_response(store, record.tenant, route.id);
  } else if (route.row->method == "DELETE") {
    body = co_await erase_response(store, record.tenant, route.id);
  } else {
    body = co_await read_response(store, record.tenant, route.id, request);
  }
  co_return body;
}

}  // namespace

asio::awaitable<base::Result<void>> recall(const Snapshot& snapshot, std::string_view tenant,
                                           const protocol::ResponsesFields& fields,
                                           protocol::Request& request) {
  const std::string& previous = fields.previous_id;
  if (previous.empty() || snapshot.responses == nullptr) co_return base::Result<void>();
  auto links =
      co_await snapshot.responses->chain(std::string(tenant), previous, bounds_of(snapshot));
  if (links.has_error()) co_return links.error();
  const std::vector<protocol::EarlierItems> items = items_of(*links);
  co_return protocol::put_before(request, fields.instructed, items, snapshot.limits);
}

io::HttpResponse recall_error(const base::Error& error, const RequestRecord& record) {
  if (error.code != ErrorCode::not_found) return error_response(error, record.id);
  base::Error worded = error;
  worded.code = ErrorCode::invalid_request;
  io::HttpResponse response = error_response(worded, record.id);
  response.body = protocol::error_body(worded, "previous_response_not_found");
  return response;
}

asio::awaitable<bool> keep(const Snapshot& snapshot, std::string_view tenant,
                           const protocol::ResponsesFields& fields, protocol::ResponseText text) {
  if (snapshot.responses == nullptr) co_return false;
  gateway::StoredResponse response;
  response.input = protocol::stored_items(text.id, fields.input_items);
  response.id = std::move(text.id);
  response.tenant = tenant;
  response.previous_id = fields.previous_id;
  response.text = std::move(text.text);
  response.output_begin = text.output_begin;
  response.output_end = text.output_end;
  auto kept = co_await snapshot.responses->put(std::move(response));
  co_return kept.has_value();
}

asio::awaitable<io::HttpResponse> response_page(const Snapshot& snapshot, const Route& route,
                                                const io::HttpRequest& request,
                                                RequestRecord& record) {
  auto body = co_await page_body(snapshot, route, request, record);
  if (body.has_value()) co_return json_response(200, std::move(*body), record.id);
  record.error = base::describe(body.error().code).name;
  co_return error_response(body.error(), record.id);
}

}  // namespace deepseek::frontend
