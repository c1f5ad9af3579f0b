#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request_fields.hpp"

namespace deepseek::protocol {

base::Result<Request> decode_chat(std::string_view body, const DecodeContext& context) {
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  return decode_chat_object(*object, context);
}

base::Result<Request> decode_chat_object(const boost::json::object& object,
                                         const DecodeContext& context) {
  JsonReader::Failure failure;
  JsonReader reader(object, failure);
  Request request;
  request.form = ClientForm::chat;
  if (!read_messages(reader, context.limits, request)) {
    reader.refuse("messages",
                  "messages is missing; it must be a list of messages, as "
                  "[{\"role\": \"user\", \"content\": \"…\"}]");
  }
  read_sampling(reader, context.limits, request);
  read_answer_shape(reader, context.limits, request);
  read_tokens_max(reader, context.limits, request, {"max_tokens", "max_completion_tokens"});
  read_chat_logprobs(reader, context.limits, request);
  read_features(reader, context.limits, request);
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
