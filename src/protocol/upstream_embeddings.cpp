#include "protocol/upstream_embeddings.hpp"

#include "protocol/json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr std::int64_t tokens_max = 1'000'000'000;

base::Error bad(std::string what) {
  return base::make_error(base::ErrorCode::upstream_failed,
                          "the answer holds no embeddings: " + std::move(what));
}

bool read_vector(const json::value& value, std::vector<float>& vector) {
  if (!value.is_array() || value.get_array().empty()) return false;
  vector.reserve(value.get_array().size());
  for (const json::value& number : value.get_array()) {
    boost::system::error_code failed;
    const double read = number.to_number<double>(failed);
    if (failed) return false;
    vector.push_back(static_cast<float>(read));
  }
  return true;
}

void append_prompt(std::string& out, const Prompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    append_json_string(out, *text);
    return;
  }
  out += '[';
  bool first = true;
  for (const std::int32_t token : std::get<TokenIds>(prompt)) {
    if (!std::exchange(first, false)) out += ',';
    append_json_integer(out, token);
  }
  out += ']';
}

}  // namespace

std::int64_t read_prompt_tokens(const json::object& answer) {
  const json::value* const usage = answer.if_contains("usage");
  if (usage == nullptr || !usage->is_object()) return 0;
  for (const char* name : {"prompt_tokens", "total_tokens"}) {
    const json::value* const tokens = usage->get_object().if_contains(name);
    const bool sane = tokens != nullptr && tokens->is_int64() && tokens->get_int64() >= 0 &&
                      tokens->get_int64() <= tokens_max;
    if (sane) return tokens->get_int64();
  }
  return 0;
}

std::string embedding_body(const EmbeddingRequest& request, std::string_view model) {
  std::string out = "{\"model\":";
  append_json_string(out, model);
  out += ",\"input\":[";
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (i > 0) out += ',';
    append_prompt(out, request.inputs[i]);
  }
  out += ']';
  if (request.dimensions) {
    out += ",\"dimensions\":";
    append_json_integer(out, *request.dimensions);
  }
  if (!request.user.empty()) {
    out += ",\"user\":";
    append_json_string(out, request.user);
  }
  out += ",\"encoding_format\":\"float\"}";
  return out;
}

base::Result<UpstreamVectors> parse_embedding_answer(std::string_view body, std::size_t inputs) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return bad("it is no JSON object");
  const json::value* const data = parsed.get_object().if_contains("data");
  if (data == nullptr || !data->is_array() || data->get_array().size() != inputs) {
    return bad("`data` does not have one entry for each input");
  }
  UpstreamVectors answer;
  answer.vectors.resize(inputs);
  for (const json::value& entry : data->get_array()) {
    if (!entry.is_object()) return bad("an entry is no object");
    const json::value* const index = entry.get_object().if_contains("index");
    const json::value* const vector = entry.get_object().if_contains("embedding");
    if (index == nullptr || vector == nullptr || !index->is_int64() || index->get_int64() < 0 ||
        static_cast<std::size_t>(index->get_int64()) >= inputs) {
      return bad("an entry has no index or no vector");
    }
    auto& place = answer.vectors[static_cast<std::size_t>(index->get_int64())];
    if (!place.empty() || !read_vector(*vector, place)) return bad("a vector is none, or is twice");
    if (place.size() != answer.vectors.front().size() && !answer.vectors.front().empty()) {
      return bad("the vectors differ in length");
    }
  }
  answer.prompt_tokens = read_prompt_tokens(parsed.get_object());
  return answer;
}

}  // namespace deepseek::protocol
