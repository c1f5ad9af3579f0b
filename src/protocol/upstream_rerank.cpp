#include "protocol/upstream_rerank.hpp"

#include "protocol/json.hpp"
#include "protocol/upstream_embeddings.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

base::Error bad(std::string what) {
  return base::make_error(base::ErrorCode::upstream_failed,
                          "the answer ranks nothing: " + std::move(what));
}

}  // namespace

std::string upstream_rerank_body(const EmbeddingRequest& request, std::string_view model) {
  std::string out = "{\"model\":";
  append_json_string(out, model);
  out += ",\"query\":";
  append_json_string(out, std::get<std::string>(request.inputs.front()));
  out += ",\"documents\":[";
  for (std::size_t i = 1; i < request.inputs.size(); ++i) {
    if (i > 1) out += ',';
    append_json_string(out, std::get<std::string>(request.inputs[i]));
  }
  out += "],\"top_n\":";
  append_json_integer(out, static_cast<std::int64_t>(request.inputs.size()) - 1);
  out += ",\"return_documents\":false}";
  return out;
}

base::Result<UpstreamScores> parse_rerank_answer(std::string_view body, std::size_t documents) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return bad("it is no JSON object");
  const json::value* const results = parsed.get_object().if_contains("results");
  if (results == nullptr || !results->is_array() || results->get_array().size() != documents) {
    return bad("`results` does not have one entry for each document");
  }
  UpstreamScores answer;
  answer.scores.assign(documents, std::numeric_limits<double>::quiet_NaN());
  for (const json::value& entry : results->get_array()) {
    if (!entry.is_object()) return bad("an entry is no object");
    const json::value* const index = entry.get_object().if_contains("index");
    const json::value* const score = entry.get_object().if_contains("relevance_score");
    if (index == nullptr || score == nullptr || !index->is_int64() || index->get_int64() < 0 ||
        static_cast<std::size_t>(index->get_int64()) >= documents) {
      return bad("an entry has no index or no relevance_score");
    }
    double& place = answer.scores[static_cast<std::size_t>(index->get_int64())];
    if (!std::isnan(place)) return bad("a document is ranked twice");
    place = score->to_number<double>(failed);
    if (failed || !std::isfinite(place)) return bad("a relevance_score is no number");
  }
  answer.prompt_tokens = read_prompt_tokens(parsed.get_object());
  return answer;
}

}  // namespace deepseek::protocol
