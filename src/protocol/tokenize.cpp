#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request_fields.hpp"

namespace deepseek::protocol {
namespace {

// The chat that `reader` holds; nothing if there are no messages.
std::optional<Request> read_chat(JsonReader& reader, const RequestLimits& limits) {
  Request chat;
  if (!read_messages(reader, limits, chat)) return std::nullopt;
  read_thinking(reader, chat);
  read_features(reader, limits, chat);
  return chat;
}

void read_text_or_chat(JsonReader& reader, const RequestLimits& limits, TokenizeRequest& request) {
  std::optional<Request> chat = read_chat(reader, limits);
  std::vector<Prompt> prompts = read_prompts(reader, "prompt", {1}, limits);
  if (chat && !prompts.empty()) {
    return reader.refuse("prompt", "both prompt and messages are given; give one of them");
  }
  if (chat) {
    request.input = std::move(*chat);
  } else if (prompts.size() == 1 && std::holds_alternative<std::string>(prompts[0])) {
    request.input = std::move(std::get<std::string>(prompts[0]));
  } else {
    reader.refuse("prompt", "prompt is missing; give a text, or messages as in a chat");
  }
}

void read_tokens(JsonReader& reader, const RequestLimits& limits, TokenizeRequest& request) {
  std::vector<Prompt> tokens = read_prompts(reader, "tokens", {1}, limits);
  if (tokens.size() == 1 && std::holds_alternative<TokenIds>(tokens[0])) {
    request.input = std::move(std::get<TokenIds>(tokens[0]));
  } else {
    reader.refuse("tokens", "tokens is missing; it must be a list of token ids");
  }
}

using Read = void (*)(JsonReader&, const RequestLimits&, TokenizeRequest&);

base::Result<TokenizeRequest> decode(std::string_view body, const DecodeContext& context,
                                     Read read) {
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  JsonReader::Failure failure;
  JsonReader reader(*object, failure);
  TokenizeRequest request;
  read(reader, context.limits, request);
  request.add_special = reader.optional_boolean("add_special_tokens").value_or(true);
  request.model = read_model(reader, context);
  request.id = context.request_id;
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace

base::Result<TokenizeRequest> decode_tokenize(std::string_view body, const DecodeContext& context) {
  return decode(body, context, read_text_or_chat);
}

base::Result<TokenizeRequest> decode_detokenize(std::string_view body,
                                                const DecodeContext& context) {
  return decode(body, context, read_tokens);
}

}  // namespace deepseek::protocol
