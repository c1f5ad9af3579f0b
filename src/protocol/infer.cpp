#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request_fields.hpp"

#include <limits>

namespace deepseek::protocol {
namespace {

constexpr std::int32_t tokens_max_default = 1024;  // an answer to a question has an end

Message text_message(Role role, std::string text) {
  Message message;
  message.role = role;
  message.content.emplace_back(TextPart{std::move(text)});
  return message;
}

}  // namespace

base::Result<Request> decode_infer(std::string_view body, const DecodeContext& context) {
  constexpr Bound any_length{std::numeric_limits<std::int64_t>::max()};
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  Request request;
  if (auto system = reader.optional_string("system", any_length)) {
    request.messages.push_back(text_message(Role::system, std::move(*system)));
  }
  std::string query = reader.required_string("query", any_length);
  if (query.empty()) reader.refuse("query", "query is empty; it must hold the question");
  request.messages.push_back(text_message(Role::user, std::move(query)));
  request.prompt_field = "query";
  read_sampling(reader, context.limits, request);
  read_answer_shape(reader, context.limits, request);
  if (request.choices != 1) reader.refuse("n", "n must be 1 here: this endpoint gives one answer");
  read_tokens_max(reader, context.limits, request,
                  {"max_tokens", "max_completion_tokens", "max_new_tokens"});
  assume_tokens_max(request, tokens_max_default);
  read_features(reader, context.limits, request);
  refuse_chat_features(reader, request);
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
