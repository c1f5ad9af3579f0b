// Bodies that are not answers of a model: errors, lists of models, embeddings.
#include "protocol/encode_parts.hpp"
#include "protocol/json.hpp"
#include "protocol/quote.hpp"

#include <bit>
#include <cstring>

namespace deepseek::protocol {
namespace {

constexpr std::size_t message_bytes_max = 1024;
constexpr std::size_t param_bytes_max = 256;

void append_bounded(std::string& out, std::string_view text, std::size_t bytes_max) {
  // A little more than the bound is redacted, so that a cut never shortens a secret to plain text.
  const std::string clean = redact(utf8_prefix(text, 2 * bytes_max));
  const std::string_view shown = utf8_prefix(clean, bytes_max);
  out += '"';
  append_json_escaped(out, shown);
  if (shown.size() < clean.size()) out += "…";
  out += '"';
}

void append_card(std::string& out, const ModelCard& model) {
  out += "{\"id\":";
  append_json_string(out, model.id);
  out += ",\"object\":\"model\",\"created\":";
  append_json_integer(out, model.created);
  out += ",\"owned_by\":";
  append_json_string(out, model.owned_by);
  if (!model.root.empty()) {
    out += ",\"root\":";
    append_json_string(out, model.root);
  }
  out += '}';
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < left ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    out += digits[group >> 18];
    out += digits[group >> 12 & 63];
    out += left > 1 ? digits[group >> 6 & 63] : '=';
    out += left > 2 ? digits[group & 63] : '=';
  }
}

std::string little_endian(const std::vector<float>& vector) {
  std::string bytes;
  bytes.reserve(vector.size() * 4);
  for (const float value : vector) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 255);
  }
  return bytes;
}

void append_vector(std::string& out, const std::vector<float>& vector, bool base64) {
  if (base64) {
    out += '"';
    append_base64(out, little_endian(vector));
    out += '"';
    return;
  }
  out += '[';
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out += ',';
    append_json_number(out, vector[i]);
  }
  out += ']';
}

// Of a request that has no answer of its own.
void append_prompt_usage(std::string& out, std::int64_t prompt_tokens) {
  out += ",\"usage\":{\"prompt_tokens\":";
  append_json_integer(out, prompt_tokens);
  out += ",\"total_tokens\":";
  append_json_integer(out, prompt_tokens);
  out += '}';
}

}  // namespace

void StreamEncoder::fail(const base::Error& error, std::vector<std::string>& frames) {
  frames.push_back(error_frame(error));
}

ResponseText StreamEncoder::response_text(const base::Error* /*error*/) const {
  return {};
}

std::string tokens_body(std::span<const std::int32_t> tokens, std::int64_t context_max) {
  std::string out = "{\"count\":";
  append_json_integer(out, static_cast<std::int64_t>(tokens.size()));
  out += ",\"max_model_len\":";
  append_json_integer(out, context_max);
  out += ",\"tokens\":[";
  bool first = true;
  for (const std::int32_t token : tokens) {
    if (!std::exchange(first, false)) out += ',';
    append_json_integer(out, token);
  }
  out += "]}";
  return out;
}

std::string detokenized_body(std::string_view text) {
  std::string out = "{\"prompt\":";
  append_json_string(out, text);
  out += '}';
  return out;
}

std::string balance_body(std::string_view balance, bool available) {
  if (balance.empty()) return R"({"is_available":true,"balance_infos":[]})";
  const std::size_t space = balance.find(' ');
  const std::string_view amount = balance.substr(0, space);
  std::string out = "{\"is_available\":";
  out += available ? "true" : "false";
  out += ",\"balance_infos\":[{\"currency\":";
  append_json_string(out, balance.substr(space + 1));
  for (const std::string_view field : {"total_balance", "topped_up_balance"}) {
    append_json_string(out += ',', field);
    append_json_string(out += ':', amount);
  }
  out += ",\"granted_balance\":\"0.00\"}]}";
  return out;
}

std::string error_body(const base::Error& error) {
  return error_body(error, base::describe(error.code).name);
}

std::string error_body(const base::Error& error, std::string_view code) {
  const base::ErrorCodeInfo& info = base::describe(error.code);
  std::string out = "{\"error\":{\"message\":";
  append_bounded(out, error.message, message_bytes_max);
  out += ",\"type\":";
  append_json_string(out, info.openai_type);
  out += ",\"param\":";
  if (error.param.empty()) {
    out += "null";
  } else {
    append_bounded(out, error.param, param_bytes_max);
  }
  out += ",\"code\":";
  append_json_string(out, code);
  out += "}}";
  return out;
}

std::string error_frame(const base::Error& error) {
  return data_frame(error_body(error));
}

std::string error_body(const base::Error& error, ErrorForm form, std::string_view request_id) {
  return form == ErrorForm::anthropic ? anthropic_error_body(error, request_id) : error_body(error);
}

std::string error_frame(const base::Error& error, ErrorForm form, std::string_view request_id) {
  return form == ErrorForm::anthropic ? anthropic_error_frame(error, request_id)
                                      : error_frame(error);
}

std::string models_body(std::span<const ModelCard> models) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out += ',';
    append_card(out, models[i]);
  }
  out += "]}";
  return out;
}

std::string model_body(const ModelCard& model) {
  std::string out;
  append_card(out, model);
  return out;
}

std::string embeddings_body(std::string_view model, std::span<const std::vector<float>> vectors,
                            std::int64_t prompt_tokens, bool base64) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    out += i > 0 ? ",{\"object\":\"embedding\",\"index\":" : "{\"object\":\"embedding\",\"index\":";
    append_json_integer(out, static_cast<std::int64_t>(i));
    out += ",\"embedding\":";
    append_vector(out, vectors[i], base64);
    out += '}';
  }
  out += "],\"model\":";
  append_json_string(out, model);
  append_prompt_usage(out, prompt_tokens);
  out += '}';
  return out;
}

std::string rerank_body(const RerankRequest& request, std::string_view model,
                        std::span<const RankedDocument> results, std::int64_t prompt_tokens) {
  std::string out = "{\"id\":";
  append_json_string(out, request.texts.id);
  out += ",\"object\":\"list\",\"model\":";
  append_json_string(out, model);
  out += ",\"results\":[";
  bool first = true;
  for (const RankedDocument& result : results) {
    if (!std::exchange(first, false)) out += ',';
    out += "{\"index\":";
    append_json_integer(out, static_cast<std::int64_t>(result.index));
    out += ",\"relevance_score\":";
    append_json_number(out, result.score);
    if (request.returns_documents) {
      out += ",\"document\":{\"text\":";
      append_json_string(out, request.document(result.index));
      out += '}';
    }
    out += '}';
  }
  out += ']';
  append_prompt_usage(out, prompt_tokens);
  out += '}';
  return out;
}

}  // namespace deepseek::protocol
