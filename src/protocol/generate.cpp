#include "base/utf8.hpp"
#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::int32_t tokens_max_default = 256;

// Fields that are text in the query string; all other known ones are JSON numbers or booleans.
constexpr std::array<std::string_view, 6> text_fields{"prompt", "model",   "stop",
                                                      "user",   "user_id", "reasoning_effort"};
constexpr std::array<std::string_view, 16> json_fields{"max_new_tokens",
                                                       "max_tokens",
                                                       "temperature",
                                                       "top_p",
                                                       "top_k",
                                                       "min_p",
                                                       "presence_penalty",
                                                       "frequency_penalty",
                                                       "repetition_penalty",
                                                       "seed",
                                                       "ignore_eos",
                                                       "stream",
                                                       "n",
                                                       "echo",
                                                       "logit_bias",
                                                       "do_sample"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

base::Error bad_query(std::string_view name, const std::string& what) {
  const std::string shown(utf8_prefix(name, 64));
  return base::make_error(base::ErrorCode::invalid_request,
                          "the query parameter " + quote_value(name) + " " + what,
                          base::is_valid_utf8(shown) ? redact(shown) : std::string());
}

base::Result<json::value> query_value(const QueryPair& pair, const RequestLimits& limits) {
  const auto& [name, text] = pair;
  if (!base::is_valid_utf8(text)) return bad_query(name, "is not valid UTF-8");
  if (text.find('\0') != std::string::npos) return bad_query(name, "holds the character NUL");
  if (!contains(json_fields, name)) return json::value(text);
  if (text == "True") return json::value(true);
  if (text == "False") return json::value(false);
  auto value = parse_json(text, limits);
  if (!value || value->is_null())
    return bad_query(name, "must be a number, true or false, found " + quote_value(text));
  return value;
}

// Adds the pairs of the query string to the object of the body.
base::Result<void> merge_query(std::span<const QueryPair> query, const RequestLimits& limits,
                               json::object& object) {
  if (static_cast<std::int64_t>(query.size()) > limits.json_keys_max) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "the query string has more than " +
                                std::to_string(limits.json_keys_max) +
                                " parameters (limits.json_keys_max)");
  }
  json::array stops;
  for (const QueryPair& pair : query) {
    if (!contains(text_fields, pair.first) && !contains(json_fields, pair.first)) continue;
    auto value = query_value(pair, limits);
    if (!value) return value.error();
    if (pair.first == "stop") {
      stops.push_back(std::move(*value));
      continue;
    }
    if (object.contains(pair.first)) {
      return bad_query(pair.first, "is given twice: in the query string and there or in the body");
    }
    object.emplace(pair.first, std::move(*value));
  }
  if (stops.empty()) return {};
  if (object.contains("stop")) return bad_query("stop", "is given in the body too");
  object.emplace("stop", std::move(stops));
  return {};
}

base::Result<json::object> read_body(std::string_view body, const RequestLimits& limits) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  return parse_json_object(body, limits);
}

}  // namespace

base::Result<Request> decode_generate(std::string_view body, std::span<const QueryPair> query,
                                      const DecodeContext& context) {
  auto object = read_body(body, context.limits);
  if (!object) return object.error();
  auto merged = merge_query(query, context.limits, *object);
  if (!merged) return merged.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  Request request;
  request.operation = Operation::completion;
  request.prompt_field = "prompt";
  if (reader.find("prompt") == nullptr) {
    reader.refuse("prompt",
                  "prompt is missing; give it as /generate?prompt=… or as {\"prompt\": \"…\"}");
  }
  request.prompts.emplace_back(reader.required_string("prompt", any_length));
  read_sampling(reader, context.limits, request);
  // Transformers' switch between the likeliest token and sampling.
  if (!reader.optional_boolean("do_sample").value_or(true)) request.sampling.temperature = 0;
  read_answer_shape(reader, context.limits, request);
  if (request.choices != 1) reader.refuse("n", "n must be 1 here: this endpoint gives one answer");
  request.echo = reader.optional_boolean("echo").value_or(false);
  read_tokens_max(reader, context.limits, request, {"max_new_tokens", "max_tokens"});
  assume_tokens_max(request, tokens_max_default);
  read_features(reader, context.limits, request);
  refuse_chat_features(reader, request);
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
