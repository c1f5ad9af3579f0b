#include "gateway/cache/semantic_index.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace deepseek::gateway {
namespace {

constexpr std::size_t lanes = 16;

std::size_t padded(std::size_t dimensions) {
  return (dimensions + lanes - 1) / lanes * lanes;
}

// With length 1 and padded; nothing for a vector without direction.
std::optional<std::vector<float>> normalised(std::span<const float> vector) {
  double sum = 0;
  for (const float number : vector) sum += static_cast<double>(number) * number;
  if (!(sum > 0) || !std::isfinite(sum)) return std::nullopt;
  const double factor = 1 / std::sqrt(sum);
  std::vector<float> result(padded(vector.size()), 0);
  for (std::size_t i = 0; i < vector.size(); ++i) {
    result[i] = static_cast<float>(vector[i] * factor);
  }
  return result;
}

// Independent sums, which the compiler may put side by side into one register.
float product(const float* left, const float* right, std::size_t size) {
  std::array<float, lanes> sums{};
  for (std::size_t i = 0; i < size; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      sums[lane] += left[i + lane] * right[i + lane];
    }
  }
  float sum = 0;
  for (const float one : sums) sum += one;
  return sum;
}

}  // namespace

std::size_t SemanticIndex::bytes_of(const Scope& scope) {
  return sizeof(Scope) + sizeof(CacheKey) + scope.tenant.size() +
         scope.vectors.capacity() * sizeof(float) + scope.answers.capacity() * sizeof(CacheKey);
}

bool SemanticIndex::insert(const CacheKey& scope_key, std::string_view tenant,
                           std::span<const float> vector, const CacheKey& answer) {
  if (vector.empty() || vector.size() > limits_.dimensions_max || limits_.entries_max == 0 ||
      limits_.scopes_max == 0) {
    return false;
  }
  const std::optional<std::vector<float>> unit = normalised(vector);
  if (!unit) return false;
  const std::unique_lock lock(mutex_);
  const auto [at, is_new] = scopes_.try_emplace(scope_key);
  Scope& scope = at->second;
  if (is_new) {
    scope.tenant = tenant;
    scope.dimensions = vector.size();
    bytes_ += bytes_of(scope);
  } else if (scope.dimensions != vector.size() || scope.tenant != tenant) {
    return false;
  }
  bytes_ -= bytes_of(scope);
  if (scope.answers.size() < limits_.entries_max) {
    scope.vectors.insert(scope.vectors.end(), unit->begin(), unit->end());
    scope.answers.push_back(answer);
  } else {
    const auto place = static_cast<std::ptrdiff_t>(scope.oldest * unit->size());
    std::ranges::copy(*unit, scope.vectors.begin() + place);
    scope.answers[scope.oldest] = answer;
    scope.oldest = (scope.oldest + 1) % scope.answers.size();
  }
  bytes_ += bytes_of(scope);
  scope.used = ++clock_;
  make_room(scope_key);
  return true;
}

std::optional<SemanticIndex::Match> SemanticIndex::find(const CacheKey& scope_key,
                                                        std::string_view tenant,
                                                        std::span<const float> vector,
                                                        float threshold) const {
  const std::optional<std::vector<float>> unit = normalised(vector);
  if (!unit) return std::nullopt;
  const std::shared_lock lock(mutex_);
  const auto found = scopes_.find(scope_key);
  if (found == scopes_.end()) return std::nullopt;
  const Scope& scope = found->second;
  if (scope.dimensions != vector.size() || scope.tenant != tenant) return std::nullopt;
  scope.used = ++clock_;
  std::optional<Match> best;
  for (std::size_t i = 0; i < scope.answers.size(); ++i) {
    const float similarity =
        product(unit->data(), scope.vectors.data() + i * unit->size(), unit->size());
    if (similarity >= threshold && (!best || similarity > best->similarity)) {
      best = Match{scope.answers[i], std::clamp(similarity, -1.0F, 1.0F)};
    }
  }
  return best;
}

void SemanticIndex::erase(const CacheKey& scope_key, const CacheKey& answer) {
  const std::unique_lock lock(mutex_);
  const auto found = scopes_.find(scope_key);
  if (found == scopes_.end()) return;
  Scope& scope = found->second;
  const std::size_t size = padded(scope.dimensions);
  for (std::size_t i = 0; i < scope.answers.size();) {
    if (scope.answers[i] != answer) {
      ++i;
      continue;
    }
    // Erased in order, so that the oldest stay the first.
    const auto place = scope.vectors.begin() + static_cast<std::ptrdiff_t>(i * size);
    scope.vectors.erase(place, place + static_cast<std::ptrdiff_t>(size));
    scope.answers.erase(scope.answers.begin() + static_cast<std::ptrdiff_t>(i));
    if (i < scope.oldest) --scope.oldest;
  }
  if (scope.answers.empty()) return remove(found);
  scope.oldest %= scope.answers.size();
}

void SemanticIndex::clear_tenant(std::string_view tenant) {
  const std::unique_lock lock(mutex_);
  for (auto at = scopes_.begin(); at != scopes_.end();) {
    const auto next = std::next(at);
    if (at->second.tenant == tenant) remove(at);
    at = next;
  }
}

SemanticIndex::Size SemanticIndex::size() const {
  const std::shared_lock lock(mutex_);
  Size size{scopes_.size(), 0, bytes_};
  for (const auto& [key, scope] : scopes_) size.entries += scope.answers.size();
  return size;
}

void SemanticIndex::remove(Scopes::iterator at) {
  bytes_ -= bytes_of(at->second);
  scopes_.erase(at);
}

// The scope that was just used goes last, and only if it is too large by itself.
void SemanticIndex::make_room(const CacheKey& keep) {
  while (scopes_.size() > limits_.scopes_max || (bytes_ > limits_.bytes_max && !scopes_.empty())) {
    const auto rank = [&](const auto& entry) {
      return std::pair(entry.first == keep, entry.second.used.load());
    };
    remove(std::min_element(scopes_.begin(), scopes_.end(),
                            [&](const auto& a, const auto& b) { return rank(a) < rank(b); }));
  }
}

}  // namespace deepseek::gateway
