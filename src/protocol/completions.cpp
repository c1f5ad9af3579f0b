#include "protocol/decode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request_fields.hpp"

#include <algorithm>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

constexpr std::int32_t tokens_max_default = 16;  // OpenAI's own default of this endpoint

void read_prompt_or_messages(JsonReader& reader, const RequestLimits& limits, Request& request) {
  request.prompts =
      read_prompts(reader, "prompt", {limits.prompts_max, "limits.prompts_max"}, limits);
  const bool has_prompt = reader.find("prompt") != nullptr;
  if (read_messages(reader, limits, request)) {
    request.operation = Operation::chat;
    if (has_prompt) {
      reader.refuse("prompt", "both prompt and messages are given; give one of them");
    }
    return;
  }
  request.operation = Operation::completion;
  request.form = ClientForm::completions;
  request.prompt_field = "prompt";
  if (!has_prompt) {
    reader.refuse("prompt", "prompt is missing; give a prompt, or messages as in a chat");
  }
}

void read_logprobs(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const boost::json::value* value = reader.find("logprobs");
  if (value == nullptr) return;
  if (value->is_bool() && request.operation == Operation::chat) {
    read_chat_logprobs(reader, limits, request);
    return;
  }
  const auto count =
      reader.integer(*value, "logprobs", 0, {limits.logprobs_max, "limits.logprobs_max"});
  if (count) request.logprobs = static_cast<std::int32_t>(*count);
}

void read_echo(JsonReader& reader, Request& request) {
  request.echo = reader.optional_boolean("echo").value_or(false);
  if (!request.echo) return;
  if (request.operation == Operation::chat) {
    reader.refuse("echo", "echo needs a prompt; it cannot be used with messages");
  }
  if (request.logprobs) note_feature(request, Feature::echo_logprobs, "echo");
  const bool has_tokens =
      std::any_of(request.prompts.begin(), request.prompts.end(),
                  [](const Prompt& prompt) { return std::holds_alternative<TokenIds>(prompt); });
  if (has_tokens) note_feature(request, Feature::echo_tokens, "echo");
}

void read_best_of(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const auto best_of =
      reader.optional_integer("best_of", 1, {limits.choices_max, "limits.choices_max"});
  if (!best_of || *best_of == request.choices) return;
  if (*best_of < request.choices) {
    reader.refuse("best_of", "best_of must be at least n (" + std::to_string(request.choices) +
                                 "), found " + std::to_string(*best_of));
  }
  note_feature(request, Feature::best_of, "best_of");
}

void read_suffix(JsonReader& reader, Request& request) {
  const boost::json::value* suffix = reader.find("suffix");
  if (suffix == nullptr) return;
  if (!suffix->is_string()) {
    reader.refuse_value("suffix", "a string", *suffix);
  } else if (!suffix->get_string().empty()) {
    note_feature(request, Feature::suffix, "suffix");
    request.suffix.assign(suffix->get_string().data(), suffix->get_string().size());
  }
}

}  // namespace

base::Result<Request> decode_completions(std::string_view body, const DecodeContext& context) {
  const auto object = parse_json_object(body, context.limits);
  if (!object) return object.error();
  return decode_completions_object(*object, context);
}

base::Result<Request> decode_completions_object(const boost::json::object& object,
                                                const DecodeContext& context) {
  JsonReader::Failure failure;
  JsonReader reader(object, failure);
  Request request;
  read_prompt_or_messages(reader, context.limits, request);
  read_sampling(reader, context.limits, request);
  read_answer_shape(reader, context.limits, request);
  read_logprobs(reader, context.limits, request);
  read_echo(reader, request);
  read_tokens_max(reader, context.limits, request, {"max_tokens", "max_completion_tokens"});
  read_best_of(reader, context.limits, request);
  read_suffix(reader, request);
  read_features(reader, context.limits, request);
  if (request.operation == Operation::completion) {
    assume_tokens_max(request, tokens_max_default);
  } else {
    refuse_chat_features(reader, request);
  }
  return finish_decode(reader, context, std::move(request));
}

}  // namespace deepseek::protocol
