// Kept answers of questions that mean the same: which questions may be compared, what is embedded,
// and the index of what was answered.
//
// Owned by AnswerCache; any thread. Only the last message is compared by its meaning: whatever
// comes before it, and every parameter, must be the same. It holds no answers, only their keys, and
// is empty after a start.
#pragma once

#include "base/clock.hpp"
#include "gateway/cache/cache_key.hpp"
#include "gateway/cache/semantic_index.hpp"
#include "protocol/request.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::frontend {

class SimilarAnswers {
 public:
  struct Options {
    std::string model;  // that embeds
    double threshold = 0.95;
    std::set<std::string, std::less<>> tenants;  // empty: all
    base::Milliseconds timeout{2'000};           // of an embedding; later it is a miss
    gateway::SemanticIndex::Limits limits{};
  };
  explicit SimilarAnswers(Options options);

  const Options& options() const { return options_; }
  bool allows(std::string_view tenant, const protocol::Request& request) const;
  protocol::EmbeddingRequest embedding(const protocol::Request& request) const;

  // What must be the same before two questions are compared. `form` of the answer is part of it.
  static std::optional<gateway::CacheKey> scope(const gateway::CacheKeyParts& parts,
                                                const protocol::Request& request,
                                                gateway::AnswerForm form);
  // The key of the answer to the most similar question, if it is similar enough.
  std::optional<gateway::CacheKey> find(const gateway::CacheKey& scope, std::string_view tenant,
                                        const std::vector<float>& vector) const;
  void insert(const gateway::CacheKey& scope, std::string_view tenant,
              const std::vector<float>& vector, const gateway::CacheKey& answer);
  // The answer is gone.
  void erase(const gateway::CacheKey& scope, const gateway::CacheKey& answer);

 private:
  const Options options_;
  gateway::SemanticIndex index_;
};

}  // namespace deepseek::frontend
