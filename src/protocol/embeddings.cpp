#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

namespace deepseek::protocol {

base::Result<EmbeddingRequest> decode_embeddings(std::string_view body,
                                                 const DecodeContext& context) {
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  return decode_embeddings_object(*object, context);
}

base::Result<EmbeddingRequest> decode_embeddings_object(const boost::json::object& object,
                                                        const DecodeContext& context) {
  constexpr std::int64_t dimensions_max = 1 << 16;
  const RequestLimits& limits = context.limits;
  JsonReader::Failure failure;
  JsonReader reader(object, failure);
  EmbeddingRequest request;
  request.inputs = read_prompts(
      reader, "input", {limits.embedding_inputs_max, "limits.embedding_inputs_max"}, limits);
  if (request.inputs.empty()) {
    reader.refuse("input", "input is missing; it must be a string, a list of strings or token ids");
  }
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    const auto* text = std::get_if<std::string>(&request.inputs[i]);
    if (text == nullptr || !text->empty()) continue;
    const std::string path = request.inputs.size() == 1 ? "input" : entry_path("input", i);
    reader.refuse(path, path + " must not be an empty string");
  }
  const std::string format = reader.optional_string("encoding_format", {64}).value_or("float");
  if (format != "float" && format != "base64") {
    reader.refuse("encoding_format",
                  "encoding_format must be \"float\" or \"base64\", found " + quote_value(format));
  }
  request.base64 = format == "base64";
  if (const auto dimensions = reader.optional_integer("dimensions", 1, {dimensions_max})) {
    request.dimensions = static_cast<std::int32_t>(*dimensions);
  }
  request.user =
      reader.optional_string("user", {limits.user_bytes_max, "limits.user_bytes_max"}).value_or("");
  request.model = read_model(reader, context);
  request.id = context.request_id;
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace deepseek::protocol
