#include "frontend/similar_answers.hpp"

#include "base/digest.hpp"
#include "gateway/cache/cache_rules.hpp"

#include <utility>

namespace deepseek::frontend {

using protocol::Message;
using protocol::Role;

SimilarAnswers::SimilarAnswers(Options options)
    : options_(std::move(options)), index_(options_.limits) {}

bool SimilarAnswers::allows(std::string_view tenant, const protocol::Request& request) const {
  if (!options_.tenants.empty() && !options_.tenants.contains(tenant)) return false;
  if (!gateway::may_be_similar(request) || request.messages.empty()) return false;
  const Message& last = request.messages.back();
  return last.role == Role::user && !last.text().empty();
}

protocol::EmbeddingRequest SimilarAnswers::embedding(const protocol::Request& request) const {
  protocol::EmbeddingRequest asked;
  asked.model = options_.model;
  asked.inputs.emplace_back(request.messages.back().text());
  asked.id = request.id;
  return asked;
}

std::optional<gateway::CacheKey> SimilarAnswers::scope(const gateway::CacheKeyParts& parts,
                                                       const protocol::Request& request,
                                                       gateway::AnswerForm form) {
  const auto around = gateway::semantic_scope(parts);
  if (!around) return std::nullopt;
  base::Sha256 hash;
  hash.add_field(std::string_view(reinterpret_cast<const char*>(around->digest.data()),
                                  around->digest.size()));
  for (const Message& message : request.messages) {
    hash.add_field(to_string(message.role));
    hash.add_field(message.name);
    if (&message == &request.messages.back()) break;
    hash.add_field(message.text());
    hash.add_field(message.reasoning_content);
  }
  return gateway::CacheKey{hash.finish()}.in_form(form);
}

std::optional<gateway::CacheKey> SimilarAnswers::find(const gateway::CacheKey& scope,
                                                      std::string_view tenant,
                                                      const std::vector<float>& vector) const {
  const auto match = index_.find(scope, tenant, vector, static_cast<float>(options_.threshold));
  if (!match) return std::nullopt;
  return match->answer;
}

void SimilarAnswers::insert(const gateway::CacheKey& scope, std::string_view tenant,
                            const std::vector<float>& vector, const gateway::CacheKey& answer) {
  index_.insert(scope, tenant, vector, answer);
}

void SimilarAnswers::erase(const gateway::CacheKey& scope, const gateway::CacheKey& answer) {
  index_.erase(scope, answer);
}

}  // namespace deepseek::frontend
