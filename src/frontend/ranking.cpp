#include "frontend/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace deepseek::frontend {
namespace {

double product(std::span<const float> one, std::span<const float> other) {
  return std::inner_product(one.begin(), one.end(), other.begin(), 0.0);
}

}  // namespace

std::vector<double> similarities(std::span<const std::vector<float>> vectors) {
  std::vector<double> scores;
  if (vectors.empty()) return scores;
  const std::vector<float>& question = vectors.front();
  for (const std::vector<float>& document : vectors.subspan(1)) {
    const double lengths = std::sqrt(product(question, question) * product(document, document));
    scores.push_back(lengths > 0 ? product(question, document) / lengths : 0);
  }
  return scores;
}

std::vector<protocol::RankedDocument> best_first(std::span<const double> scores, std::size_t most) {
  std::vector<protocol::RankedDocument> ranked;
  ranked.reserve(scores.size());
  for (const double score : scores) ranked.push_back({ranked.size(), score});
  std::sort(ranked.begin(), ranked.end(), [](const auto& one, const auto& other) {
    return one.score != other.score ? one.score > other.score : one.index < other.index;
  });
  ranked.resize(std::min(ranked.size(), most));
  return ranked;
}

}  // namespace deepseek::frontend
