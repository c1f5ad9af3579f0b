// The fields that several forms share: sampling, limits of the answer, stream, user, messages.
//
// Pure; private to the decoders of this room.
#pragma once

#include "protocol/decode.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/array.hpp>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// The body has its own limit (http.body_max); one text may fill it.
inline constexpr Bound any_length{std::numeric_limits<std::int64_t>::max()};
// Far beyond what any upstream takes; against floods.
inline constexpr Bound tools_bound{1024};

inline Bound name_bytes(const RequestLimits& limits) {
  return {limits.name_bytes_max, "limits.name_bytes_max"};
}

std::string text_of(const boost::json::value& string);

// "PATH: WHY", as not_implemented: what `field` asks for is not offered here.
void refuse_gap(JsonReader& reader, std::string_view field, std::string_view why);

// Reads each entry of `list`, which is at `path`, as an object, until something fails.
template <class Read>
void each_object(JsonReader& reader, const boost::json::array* list, std::string_view path,
                 const Read& read) {
  for (std::size_t i = 0; list != nullptr && i < list->size() && !reader.failed(); ++i) {
    auto entry = reader.object((*list)[i], entry_path(path, i));
    if (entry) read(*entry);
  }
}

// The parts of a message, or nothing and a failure if `value` is no list or has too many. `what`
// says what it must be.
const boost::json::array* parts_of(JsonReader& reader, const RequestLimits& limits,
                                   const boost::json::value& value, const std::string& path,
                                   std::string_view what);

// An https: or data: URL at `path` of `reader`; refused otherwise.
void check_image_url(JsonReader& reader, const std::string& path, std::string_view url);

// Unless the turn has its most calls; `calls` is what the form names them.
void add_tool_call(JsonReader& reader, const RequestLimits& limits, Message& message, ToolCall call,
                   std::string_view calls);

// A JSON Schema object as text; empty if it is absent.
std::string read_schema_object(JsonReader& reader, std::string_view field, bool required = false);

// A tool must not be asked for where there is none.
void check_forced_choice(JsonReader& reader, const Request& request);

// `field` is one of `known`; empty if it is absent.
std::string read_word(JsonReader& reader, std::string_view field,
                      std::span<const std::string_view> known);

// OpenAI allows 0 and means the most likely token alone; the neutral request has (0, 1].
void read_top_p(JsonReader& reader, Request& request);
// -1 is vLLM's word for off.
void read_top_k(JsonReader& reader, const RequestLimits& limits, Request& request);

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
