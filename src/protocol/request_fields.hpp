// The fields that several forms share: sampling, limits of the answer, stream, user, messages.
//
// Pure; private to the decoders of this room.
#pragma once

#include "protocol/decode.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <string_view>

namespace deepseek::protocol {

void read_sampling(JsonReader& reader, const RequestLimits& limits, Request& request);

// n, stop, stream, stream_options, user, user_id, thinking, reasoning_effort.
void read_answer_shape(JsonReader& reader, const RequestLimits& limits, Request& request);

// thinking, reasoning_effort.
void read_thinking(JsonReader& reader, Request& request);

// max_tokens and its aliases; those that are given must agree.
void read_tokens_max(JsonReader& reader, const RequestLimits& limits, Request& request,
                     std::initializer_list<std::string_view> names);

// logprobs as a boolean, with top_logprobs.
void read_chat_logprobs(JsonReader& reader, const RequestLimits& limits, Request& request);

// messages; false when the field is absent.
bool read_messages(JsonReader& reader, const RequestLimits& limits, Request& request);

// Unset becomes the form's own default.
void assume_tokens_max(Request& request, std::int32_t tokens_max);

// tools, functions, response_format, audio …: read, and noted in Request::features.
void read_features(JsonReader& reader, const RequestLimits& limits, Request& request);
// The halves of it with files of their own.
void read_tools(JsonReader& reader, const RequestLimits& limits, Request& request);
void read_constraint(JsonReader& reader, Request& request);
// For forms that have no way to say them to a backend or to answer them; images are no such thing.
void refuse_chat_features(JsonReader& reader, const Request& request);
// Each feature once, with its first use.
void note_feature(Request& request, Feature feature, std::string param);

// A string, a list of strings, token ids, or a list of lists of them.
std::vector<Prompt> read_prompts(JsonReader& reader, std::string_view name, Bound entries,
                                 const RequestLimits& limits);

// The model's name: from the body, else from the header, else empty.
std::string read_model(JsonReader& reader, const DecodeContext& context);

// The last step of each decoder: model, id, unknown fields.
base::Result<Request> finish_decode(JsonReader& reader, const DecodeContext& context,
                                    Request request);

}  // namespace deepseek::protocol
