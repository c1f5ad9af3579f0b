#include "protocol/responses_items.hpp"

#include "protocol/item_reader.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"
#include "protocol/quote.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <iterator>
#include <limits>
#include <vector>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::string_view previous_field = "previous_response_id";
constexpr std::size_t page_items_max = 100;

base::Error conversation_error(std::string message) {
  return base::make_error(base::ErrorCode::invalid_request,
                          std::string(previous_field) + ": the conversation " + std::move(message),
                          std::string(previous_field));
}

base::Result<void> read_kept(std::string_view text, const RequestLimits& limits,
                             ItemReader& items) {
  if (text.empty()) return {};
  const auto list = parse_json(text, limits);
  if (!list) return conversation_error("cannot be read any more: " + list.error().message);
  const json::object holder;
  JsonReader::Failure failure;
  JsonReader reader(holder, failure);
  items.read_list(reader, list->if_array(), previous_field);
  if (failure) return conversation_error("cannot be read any more: " + failure->message);
  return {};
}

// The items of a list as JSON texts. What was kept is ours: limits of requests do not apply.
base::Result<void> split_items(std::string_view text, json::array& items) {
  if (text.empty()) return {};
  RequestLimits limits;
  limits.json_keys_max = std::numeric_limits<std::int32_t>::max();
  limits.json_depth_max = 256;
  auto list = parse_json(text, limits);
  if (!list) return list.error();
  if (!list->is_array()) return conversation_error("is kept in a form that is not known");
  for (json::value& item : list->get_array()) items.push_back(std::move(item));
  return {};
}

std::string_view id_of(const json::value& item) {
  const json::object* object = item.if_object();
  const json::value* id = object == nullptr ? nullptr : object->if_contains("id");
  if (id == nullptr || !id->is_string()) return {};
  return {id->get_string().data(), id->get_string().size()};
}

std::string_view prefix_of(std::string_view item) {
  if (item.starts_with("\"type\":\"function_call_output\"")) return "fco_";
  if (item.starts_with("\"type\":\"function_call\"")) return "fc_";
  return item.starts_with("\"type\":\"reasoning\"") ? "rs_" : "msg_";
}

std::string page(const json::array& items, std::size_t first, const ItemsQuery& query) {
  std::string out;
  ObjectWriter object(out);
  object.string("object", "list");
  const std::size_t end = first + std::min(query.limit, items.size() - first);
  std::string& list = object.name("data");
  list += '[';
  for (std::size_t i = first; i < end; ++i) {
    if (i > first) list += ',';
    list += json::serialize(items[i]);
  }
  list += ']';
  const bool none = first == end;
  for (const auto& [field, at] : {std::pair("first_id", first), std::pair("last_id", end - 1)}) {
    if (none) {
      object.json(field, "null");
    } else {
      object.string(field, id_of(items[at]));
    }
  }
  object.boolean("has_more", end < items.size());
  object.close();
  return out;
}

base::Error query_error(std::string_view name, std::string_view allowed, std::string_view found) {
  return base::make_error(
      base::ErrorCode::invalid_request,
      std::string(name) + " must be " + std::string(allowed) + ", found " + quote_value(found),
      std::string(name));
}

}  // namespace

base::Result<void> put_before(Request& request, bool instructed,
                              std::span<const EarlierItems> earlier, const RequestLimits& limits) {
  Request before;
  ItemReader items(limits, before, nullptr);
  for (const EarlierItems& response : earlier) {
    if (auto read = read_kept(response.input, limits, items); !read) return read;
    if (auto read = read_kept(response.output, limits, items); !read) return read;
  }
  const auto messages = static_cast<std::int64_t>(before.messages.size() + request.messages.size());
  if (messages > limits.messages_max) {
    return conversation_error("has " + std::to_string(messages) + " messages; at most " +
                              std::to_string(limits.messages_max) +
                              " (limits.messages_max) are allowed");
  }
  for (FeatureUse& use : before.features) {
    if (!request.uses(use.feature)) request.features.push_back(std::move(use));
  }
  request.messages.insert(request.messages.begin() + (instructed ? 1 : 0),
                          std::make_move_iterator(before.messages.begin()),
                          std::make_move_iterator(before.messages.end()));
  return {};
}

std::string stored_items(std::string_view response_id, std::span<const std::string> items) {
  const std::string_view own = response_id.substr(response_id.find('_') + 1);
  std::string out = "[";
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    out += "{\"id\":\"";
    out += prefix_of(items[i]);
    append_json_escaped(out, own);
    out += "_in" + std::to_string(i) + "\",";
    out += items[i];
  }
  return out + "]";
}

base::Result<ItemsQuery> read_items_query(
    std::span<const std::pair<std::string, std::string>> query) {
  ItemsQuery out;
  for (const auto& [name, value] : query) {
    if (name == "limit") {
      const char* const end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, out.limit);
      if (read.ec != std::errc() || read.ptr != end || out.limit < 1 ||
          out.limit > page_items_max) {
        return query_error(name, "an integer from 1 to 100", value);
      }
    } else if (name == "order") {
      if (value != "asc" && value != "desc") return query_error(name, "asc or desc", value);
      out.descending = value == "desc";
    } else if (name == "after") {
      out.after = value;
    }
  }
  return out;
}

base::Result<std::string> items_body(std::span<const EarlierItems> earlier,
                                     const ItemsQuery& query) {
  json::array items;
  for (const EarlierItems& response : earlier) {
    if (auto read = split_items(response.input, items); !read) return read.error();
    if (auto read = split_items(response.output, items); !read) return read.error();
  }
  if (query.descending) std::reverse(items.begin(), items.end());
  std::size_t first = 0;
  if (!query.after.empty()) {
    const auto found = std::ranges::find(items, query.after, id_of);
    if (found == items.end()) {
      return query_error("after", "the id of an item of this response", query.after);
    }
    first = static_cast<std::size_t>(found - items.begin()) + 1;
  }
  return page(items, first, query);
}

std::string deleted_response_body(std::string_view id) {
  std::string out;
  ObjectWriter object(out);
  object.string("id", id);
  object.string("object", "response");
  object.boolean("deleted", true);
  object.close();
  return out;
}

}  // namespace deepseek::protocol
