#include "protocol/request_fields.hpp"

#include "protocol/quote.hpp"
#include "protocol/relayed_fields.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

// OpenAI's seed is any int64; ours is 64 bits, so a negative one keeps its bits.
void read_seed(JsonReader& reader, Request& request) {
  const json::value* value = reader.find("seed");
  if (value == nullptr) return;
  if (value->is_uint64()) {
    request.sampling.seed = value->get_uint64();
    return;
  }
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  const auto seed = reader.integer(*value, "seed", least, {most});
  if (seed) request.sampling.seed = static_cast<std::uint64_t>(*seed);
}

void read_logit_bias(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const json::value* value = reader.find("logit_bias");
  if (value == nullptr) return;
  if (!value->is_object()) {
    reader.refuse_value("logit_bias", "an object from token id to bias", *value);
    return;
  }
  const json::object& biases = value->get_object();
  if (static_cast<std::int64_t>(biases.size()) > limits.logit_bias_max) {
    reader.refuse("logit_bias", "logit_bias has " + std::to_string(biases.size()) +
                                    " entries; at most " + std::to_string(limits.logit_bias_max) +
                                    " (limits.logit_bias_max) are allowed");
    return;
  }
  for (const auto& field : biases) {
    const std::string_view key(field.key().data(), field.key().size());
    std::int32_t token = -1;
    const auto end = std::from_chars(key.data(), key.data() + key.size(), token);
    if (end.ec != std::errc() || end.ptr != key.data() + key.size() || token < 0 ||
        token > limits.token_id_max) {
      reader.refuse("logit_bias", "logit_bias: a key must be a token id from 0 to " +
                                      std::to_string(limits.token_id_max) + ", found " +
                                      quote_value(key));
      return;
    }
    const auto bias =
        reader.number(field.value(), "logit_bias." + std::to_string(token), {-100, 100});
    if (!bias) return;
    if (!request.sampling.logit_bias.emplace(token, *bias).second) {
      reader.refuse("logit_bias",
                    "logit_bias: the token id " + std::to_string(token) + " is given twice");
      return;
    }
  }
}

void read_stop(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const json::value* value = reader.find("stop");
  if (value == nullptr) return;
  const Bound bytes{limits.stop_bytes_max, "limits.stop_bytes_max"};
  const auto add = [&](const json::value& entry, const std::string& path) {
    auto text = reader.string(entry, path, bytes);
    if (text && text->empty()) reader.refuse(path, path + " must not be an empty string");
    if (text && !text->empty()) request.stop.push_back(std::move(*text));
  };
  if (value->is_string()) {
    add(*value, "stop");
    return;
  }
  if (!value->is_array()) {
    reader.refuse_value("stop", "a string or a list of strings", *value);
    return;
  }
  const json::array& list = value->get_array();
  if (list.empty() || !reader.check_entries(list, "stop", {limits.stop_max, "limits.stop_max"})) {
    return;
  }
  for (std::size_t i = 0; i < list.size() && !reader.failed(); ++i) {
    add(list[i], entry_path("stop", i));
  }
}

void read_modalities(JsonReader& reader, Request& request) {
  const json::array* modalities = reader.optional_list("modalities", {16});
  if (modalities == nullptr) return;
  for (std::size_t i = 0; i < modalities->size(); ++i) {
    reader.string((*modalities)[i], entry_path("modalities", i), {64});
  }
  const bool text_only = modalities->size() == 1 && (*modalities)[0] == "text";
  if (!text_only) note_feature(request, Feature::audio, "modalities");
}

// A field that no decoder reads, but that passes to upstreams: bounded, so that a number or
// pattern of a client cannot make one of them work without end.
void check_relayed_field(JsonReader& reader, const RelayedField& field) {
  const json::value* value = reader.find(field.name);
  if (value == nullptr) return;
  switch (field.kind) {
    case RelayedField::Kind::flag:
      reader.optional_boolean(field.name);
      break;
    case RelayedField::Kind::integer:
      reader.optional_integer(field.name, field.min, {field.max});
      break;
    case RelayedField::Kind::number:
      reader.optional_number(field.name,
                             {static_cast<double>(field.min), static_cast<double>(field.max)});
      break;
    case RelayedField::Kind::text:
      reader.optional_string(field.name, {field.max});
      break;
    case RelayedField::Kind::list:
      if (!value->is_array() || !value->get_array().empty()) {
        reader.optional_list(field.name, {field.max});
      }
      break;
    case RelayedField::Kind::object:
      reader.optional_object(field.name);
      break;
    case RelayedField::Kind::any:
      break;
  }
}

}  // namespace

std::string text_of(const json::value& string) {
  return {string.get_string().data(), string.get_string().size()};
}

void refuse_gap(JsonReader& reader, std::string_view field, std::string_view why) {
  const std::string path = reader.path_of(field);
  reader.refuse(path, path + ": " + std::string(why), base::ErrorCode::not_implemented);
}

const json::array* parts_of(JsonReader& reader, const RequestLimits& limits,
                            const json::value& value, const std::string& path,
                            std::string_view what) {
  if (!value.is_array()) {
    reader.refuse_value(path, what, value);
    return nullptr;
  }
  const json::array& list = value.get_array();
  const bool few =
      list.empty() || reader.check_entries(list, path, {limits.parts_max, "limits.parts_max"});
  return few ? &list : nullptr;
}

void check_image_url(JsonReader& reader, const std::string& path, std::string_view url) {
  if (reader.failed() || url.starts_with("https://") || url.starts_with("data:")) return;
  reader.refuse(path, path + " must begin with https:// or data:, found " + quote_value(url));
}

void add_tool_call(JsonReader& reader, const RequestLimits& limits, Message& message, ToolCall call,
                   std::string_view calls) {
  if (static_cast<std::int64_t>(message.tool_calls.size()) < limits.tool_calls_max) {
    message.tool_calls.push_back(std::move(call));
    return;
  }
  reader.refuse(reader.path(), reader.path() + ": a message has at most " +
                                   std::to_string(limits.tool_calls_max) + " " +
                                   std::string(calls) + " (limits.tool_calls_max)");
}

std::string read_schema_object(JsonReader& reader, std::string_view field, bool required) {
  const json::value* schema = reader.find(field);
  const std::string path = reader.path_of(field);
  if (schema != nullptr && schema->is_object()) return json::serialize(*schema);
  if (schema != nullptr) {
    reader.refuse_value(path, "a JSON Schema object", *schema);
  } else if (required) {
    reader.refuse(path, path + " is missing; it must be a JSON Schema object");
  }
  return {};
}

void check_forced_choice(JsonReader& reader, const Request& request) {
  const auto kind = request.tool_choice.kind;
  const bool forced = kind == ToolChoice::Kind::required || kind == ToolChoice::Kind::named;
  if (!forced || !request.tools.empty()) return;
  reader.refuse("tool_choice", "tool_choice asks for a tool, but tools is empty");
}

std::string read_word(JsonReader& reader, std::string_view field,
                      std::span<const std::string_view> known) {
  auto word = reader.optional_string(field, {64});
  if (!word) return {};
  if (std::ranges::find(known, *word) != known.end()) return std::move(*word);
  const std::string path = reader.path_of(field);
  std::string message = path + " must be ";
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i > 0) message += i + 1 == known.size() ? " or " : ", ";
    message += known[i];
  }
  reader.refuse(path, message + ", found " + quote_value(*word));
  return {};
}

void read_top_p(JsonReader& reader, Request& request) {
  request.sampling.top_p = reader.optional_number("top_p", {0, 1});
  if (request.sampling.top_p == 0.0) request.sampling.top_p = 1e-6;
}

void read_top_k(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const auto top_k = reader.optional_integer("top_k", -1, {limits.token_id_max});
  if (!top_k) return;
  request.sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(*top_k, 0));
}

void read_sampling(JsonReader& reader, const RequestLimits& limits, Request& request) {
  Sampling& sampling = request.sampling;
  sampling.temperature = reader.optional_number("temperature", {0, 2});
  read_top_p(reader, request);
  sampling.min_p = reader.optional_number("min_p", {0, 1});
  read_top_k(reader, limits, request);
  sampling.presence_penalty = reader.optional_number("presence_penalty", {-2, 2});
  sampling.frequency_penalty = reader.optional_number("frequency_penalty", {-2, 2});
  sampling.repetition_penalty = reader.optional_number("repetition_penalty", {0, 2, true});
  read_seed(reader, request);
  read_logit_bias(reader, limits, request);
  sampling.ignore_eos = reader.optional_boolean("ignore_eos").value_or(false);
}

void read_thinking(JsonReader& reader, Request& request) {
  if (auto thinking = reader.optional_object("thinking")) {
    const std::string type = thinking->required_string("type", {64});
    if (type == "enabled" || type == "disabled") {
      request.thinking = type == "enabled";
    } else {
      thinking->refuse(
          "thinking.type",
          "thinking.type must be \"enabled\" or \"disabled\", found " + quote_value(type));
    }
  }
  constexpr std::array<std::string_view, 8> known{"none", "minimal", "low", "medium",
                                                  "high", "xhigh",   "max", "ultra"};
  request.reasoning_effort = read_word(reader, "reasoning_effort", known);
}

void read_answer_shape(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const auto choices = reader.optional_integer("n", 1, {limits.choices_max, "limits.choices_max"});
  request.choices = static_cast<std::int32_t>(choices.value_or(1));
  read_stop(reader, limits, request);
  request.stream = reader.optional_boolean("stream").value_or(false);
  if (auto options = reader.optional_object("stream_options")) {
    request.stream_usage = options->optional_boolean("include_usage").value_or(false);
    if (!request.stream) {
      reader.refuse("stream_options", "stream_options is only allowed with \"stream\": true");
    }
  }
  request.user =
      reader.optional_string("user", {limits.user_bytes_max, "limits.user_bytes_max"}).value_or("");
  request.user_id =
      reader.optional_string("user_id", {limits.user_id_bytes_max, "limits.user_id_bytes_max"})
          .value_or("");
  read_thinking(reader, request);
}

void read_tokens_max(JsonReader& reader, const RequestLimits& limits, Request& request,
                     std::initializer_list<std::string_view> names) {
  // An echoed prompt may be all that is wanted.
  const std::int64_t least = request.echo ? 0 : 1;
  std::string_view first;
  for (const std::string_view name : names) {
    const auto tokens =
        reader.optional_integer(name, least, {limits.tokens_max, "limits.tokens_max"});
    if (!tokens) continue;
    if (request.tokens_max && *request.tokens_max != *tokens) {
      reader.refuse(std::string(name), std::string(first) + " is " +
                                           std::to_string(*request.tokens_max) + " and " +
                                           std::string(name) + " is " + std::to_string(*tokens) +
                                           "; give one of them");
      return;
    }
    request.tokens_max = static_cast<std::int32_t>(*tokens);
    first = name;
  }
}

void read_chat_logprobs(JsonReader& reader, const RequestLimits& limits, Request& request) {
  const bool wanted = reader.optional_boolean("logprobs").value_or(false);
  const auto top =
      reader.optional_integer("top_logprobs", 0, {limits.logprobs_max, "limits.logprobs_max"});
  if (wanted) request.logprobs = static_cast<std::int32_t>(top.value_or(0));
  if (!wanted && top.value_or(0) > 0) {
    reader.refuse("top_logprobs", "top_logprobs needs \"logprobs\": true");
  }
}

void note_feature(Request& request, Feature feature, std::string param) {
  for (const FeatureUse& use : request.features) {
    if (use.feature == feature) return;
  }
  request.features.push_back({feature, std::move(param)});
}

void assume_tokens_max(Request& request, std::int32_t tokens_max) {
  if (request.tokens_max) return;
  request.tokens_max = tokens_max;
  request.tokens_max_assumed = true;
}

void read_features(JsonReader& reader, const RequestLimits& limits, Request& request) {
  read_tools(reader, limits, request);
  read_constraint(reader, request);
  if (reader.optional_object("audio")) note_feature(request, Feature::audio, "audio");
  read_modalities(reader, request);
  if (reader.optional_object("web_search_options")) {
    note_feature(request, Feature::web_search, "web_search_options");
  }
}

void refuse_chat_features(JsonReader& reader, const Request& request) {
  for (const FeatureUse& use : request.features) {
    if (use.feature == Feature::images) continue;
    reader.refuse(use.param,
                  use.param + ": " + std::string(to_string(use.feature)) +
                      " needs POST /v1/chat/completions; leave the field out here",
                  base::ErrorCode::not_implemented);
  }
}

std::string read_model(JsonReader& reader, const DecodeContext& context) {
  const std::int64_t bytes_max = context.limits.model_bytes_max;
  auto model = reader.optional_string("model", {bytes_max, "limits.model_bytes_max"});
  if (model && !model->empty()) return std::move(*model);
  if (static_cast<std::int64_t>(context.header_model.size()) > bytes_max) {
    reader.refuse("model", "the header DeepSeek-Model has " +
                               std::to_string(context.header_model.size()) + " bytes; at most " +
                               std::to_string(bytes_max) + " (limits.model_bytes_max) are allowed");
  }
  return std::string(context.header_model);
}

base::Result<Request> finish_decode(JsonReader& reader, const DecodeContext& context,
                                    Request request) {
  constexpr std::size_t unknown_fields_max = 32;
  constexpr std::size_t unknown_name_bytes_max = 64;
  request.model = read_model(reader, context);
  request.id = context.request_id;
  if (reader.failed()) return reader.error();
  const auto sequences = static_cast<std::int64_t>(request.sequence_count());
  if (sequences > context.limits.sequences_max) {
    return base::make_error(
        base::ErrorCode::invalid_request,
        "prompts times n make " + std::to_string(sequences) + " answers; at most " +
            std::to_string(context.limits.sequences_max) + " (limits.sequences_max) are allowed",
        "n");
  }
  for (const std::string_view name : reader.unread()) {
    const RelayedField* field =
        request.form == ClientForm::other ? nullptr : find_relayed_field(name);
    if (field != nullptr) {
      check_relayed_field(reader, *field);
    } else if (request.unknown_fields.size() < unknown_fields_max) {
      request.unknown_fields.emplace_back(utf8_prefix(name, unknown_name_bytes_max));
    }
  }
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace deepseek::protocol
