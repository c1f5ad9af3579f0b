#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr Bound text_bytes{1 << 30};  // the body's own limit comes first

// A document is a string, or an object whose `text` is one.
std::string read_document(JsonReader& reader, const json::value& value, const std::string& path) {
  if (value.is_object()) {
    auto object = reader.object(value, path);
    return object ? object->required_string("text", text_bytes) : std::string();
  }
  if (!value.is_string()) {
    reader.refuse_value(path, "a string or an object with a text", value);
    return {};
  }
  return reader.string(value, path, text_bytes).value_or("");
}

void read_documents(JsonReader& reader, const RequestLimits& limits, std::vector<Prompt>& inputs) {
  const json::value* const value = reader.find("documents");
  if (value == nullptr) {
    return reader.refuse("documents", "documents is missing; it must be a list of strings");
  }
  const Bound entries{limits.embedding_inputs_max, "limits.embedding_inputs_max"};
  const json::array* const list = reader.optional_list("documents", entries);
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->size() && !reader.failed(); ++i) {
    const std::string path = entry_path("documents", i);
    std::string text = read_document(reader, (*list)[i], path);
    if (text.empty()) reader.refuse(path, path + " must not be empty");
    inputs.emplace_back(std::move(text));
  }
}

}  // namespace

base::Result<RerankRequest> decode_rerank(std::string_view body, const DecodeContext& context) {
  const RequestLimits& limits = context.limits;
  const auto object = parse_json_object(body, limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  RerankRequest request;
  std::string query = reader.required_string("query", text_bytes);
  if (query.empty()) reader.refuse("query", "query must not be empty");
  request.texts.inputs.emplace_back(std::move(query));
  read_documents(reader, limits, request.texts.inputs);
  request.texts.ranks = true;
  const std::size_t documents = request.documents();
  const auto top = reader.optional_integer("top_n", 1, {limits.embedding_inputs_max});
  request.results_max = top ? std::min(static_cast<std::size_t>(*top), documents) : documents;
  request.returns_documents = reader.optional_boolean("return_documents").value_or(false);
  request.texts.user =
      reader.optional_string("user", {limits.user_bytes_max, "limits.user_bytes_max"}).value_or("");
  request.texts.model = read_model(reader, context);
  request.texts.id = context.request_id;
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace deepseek::protocol
