// Finds the answer of a question that means the same, by the cosine of embedding vectors.
//
// Off unless a route turns it on, and only for what may_be_similar() allows. A scope is what must
// be equal: semantic_scope(), which holds tenant, route, model and all parameters. Bounded by
// scopes, entries of a scope and bytes: the oldest entry of a scope and the scope that was used
// longest ago go first. Any thread may call it, but a look-up reads every vector of its scope
// (about 0.3 ms for 1,000 vectors of 1,536 numbers), so large scopes are searched off the I/O
// threads.
#pragma once

#include "gateway/cache/cache_key.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace deepseek::gateway {

class SemanticIndex {
 public:
  struct Limits {
    std::size_t scopes_max = 1024;
    std::size_t entries_max = 1000;  // of one scope
    std::size_t dimensions_max = 4096;
    std::size_t bytes_max = 64 << 20;
  };
  struct Match {
    CacheKey answer;
    float similarity = 0;  // cosine, [-1, 1]
  };

  explicit SemanticIndex(const Limits& limits) : limits_(limits) {}

  // False, and nothing changes, for a vector that is empty, too long, of another length than the
  // others of its scope, without direction or not finite.
  bool insert(const CacheKey& scope, std::string_view tenant, std::span<const float> vector,
              const CacheKey& answer);

  // The most similar entry, if its similarity is at least `threshold`.
  std::optional<Match> find(const CacheKey& scope, std::string_view tenant,
                            std::span<const float> vector, float threshold) const;

  // The answer is gone from the cache.
  void erase(const CacheKey& scope, const CacheKey& answer);
  void clear_tenant(std::string_view tenant);

  struct Size {
    std::size_t scopes = 0;
    std::size_t entries = 0;
    std::size_t bytes = 0;
  };
  Size size() const;

 private:
  struct Scope {
    std::string tenant;
    std::size_t dimensions = 0;
    std::vector<float> vectors;  // of length 1, one after the other, each padded with zeros
    std::vector<CacheKey> answers;
    std::size_t oldest = 0;  // the next to be replaced once the scope is full
    mutable std::atomic<std::uint64_t> used{0};
  };
  using Scopes = std::unordered_map<CacheKey, Scope, CacheKeyHash>;

  static std::size_t bytes_of(const Scope& scope);
  void remove(Scopes::iterator at);
  void make_room(const CacheKey& keep);

  const Limits limits_;
  mutable std::shared_mutex mutex_;
  mutable std::atomic<std::uint64_t> clock_{0};
  Scopes scopes_;
  std::size_t bytes_ = 0;
};

}  // namespace deepseek::gateway
