// The part of the wiring that keeps answers: the response cache and the responses.
#include "server/target_source.hpp"
#include "server/usage_recorder.hpp"
#include "server/wiring.hpp"

#include "gateway/cache/memory_cache_store.hpp"
#include "gateway/cache/sqlite_cache_store.hpp"
#include "gateway/responses/response_store.hpp"

#include <algorithm>

namespace deepseek::server {
namespace {

constexpr std::string_view file_name = "/cache.db";
constexpr std::string_view responses_file = "/responses.db";
// Another program may look into the file; an answer does not wait for it long.
constexpr std::chrono::milliseconds busy_max{1'000};

// A stream that is followed is longer than what is kept, before its followers are sent away.
constexpr std::uint64_t flight_packed_min = 4u << 20;
constexpr std::uint64_t flight_raw_min = 16u << 20;

gateway::MemoryCacheStore::Limits memory_limits(const Configuration::Cache& cache) {
  gateway::MemoryCacheStore::Limits limits;
  limits.bytes_max = cache.memory_max;
  limits.entries_max = cache.entries_max;
  limits.entry_bytes_max = cache.entry_bytes_max;
  return limits;
}

base::Result<std::unique_ptr<gateway::CacheStore>> make_store(const Configuration& configuration,
                                                              base::Logger logger) {
  const Configuration::Cache& cache = configuration.cache;
  if (cache.store == CacheStoreKind::memory) {
    return std::make_unique<gateway::MemoryCacheStore>(memory_limits(cache));
  }
  gateway::SqliteCacheStore::Options options;
  options.database.file = data_directory(configuration) + std::string(file_name);
  options.file.bytes_max = static_cast<std::int64_t>(cache.file_max);
  options.file.entries_max = static_cast<std::int64_t>(cache.entries_max);
  options.file.raw_bytes_max = std::max(flight_raw_min, cache.entry_bytes_max);
  options.memory = memory_limits(cache);
  auto opened = gateway::SqliteCacheStore::open(options, logger);
  if (opened.has_error()) return opened.error();
  return std::unique_ptr<gateway::CacheStore>(std::move(*opened));
}

void add_field(std::string& scope, std::string_view text) {
  scope += std::to_string(text.size()) + ':';
  scope += text;
}

}  // namespace

base::Result<std::unique_ptr<frontend::AnswerCache>> make_answer_cache(
    const Configuration& configuration, gateway::AttemptObserver* observer, base::Logger logger) {
  if (!configuration.cache.enabled) return std::unique_ptr<frontend::AnswerCache>{};
  auto store = make_store(configuration, logger);
  if (store.has_error()) return store.error();
  frontend::AnswerCache::Options options;
  options.observer = observer;
  const std::uint64_t entry_max = configuration.cache.entry_bytes_max;
  options.flights.packed_bytes_max = std::max(flight_packed_min, entry_max);
  options.flights.raw_bytes_max = std::max(flight_raw_min, entry_max);
  if (configuration.cache.semantic) {
    frontend::SimilarAnswers::Options similar;
    similar.model = configuration.cache.semantic_model;
    similar.threshold = configuration.cache.semantic_threshold;
    const auto& tenants = configuration.cache.semantic_tenants;
    similar.tenants.insert(tenants.begin(), tenants.end());
    options.similar = std::move(similar);
  }
  return std::make_unique<frontend::AnswerCache>(std::move(*store), options);
}

base::Result<std::unique_ptr<gateway::ResponseStore>> make_response_store(
    const Configuration& configuration, base::Logger logger) {
  const Configuration::Responses& responses = configuration.responses;
  if (!responses.enabled) return std::unique_ptr<gateway::ResponseStore>{};
  gateway::ResponseStore::Options options;
  options.database.file = data_directory(configuration) + std::string(responses_file);
  options.database.busy_timeout = busy_max;
  options.limits.keep_ms = responses.keep.count();
  options.limits.response_bytes_max = static_cast<std::int64_t>(responses.response_bytes_max);
  options.limits.tenant_bytes_max = static_cast<std::int64_t>(responses.tenant_bytes_max);
  options.limits.tenant_rows_max = responses.tenant_rows_max;
  return gateway::ResponseStore::open(options, logger);
}

gateway::CacheRules cache_rules(const Configuration& configuration, bool route_allows) {
  gateway::CacheRules rules;
  rules.enabled = configuration.cache.enabled && route_allows;
  rules.ttl = std::chrono::duration_cast<std::chrono::seconds>(configuration.cache.ttl);
  return rules;
}

// Names of backends, and where they are: answers that a file kept must not outlive a change of who
// gives them. A model's file counts by its time.
std::string cache_scope(const Configuration& configuration, const TargetSource& backends,
                        const std::vector<gateway::Target*>& targets) {
  std::string scope;
  if (!configuration.cache.enabled) return scope;
  for (const gateway::Target* target : targets) {
    add_field(scope, target->name());
    for (const TargetSource::LocalModel& model : backends.local_models()) {
      if (model.id == target->name()) add_field(scope, std::to_string(model.created));
    }
    for (const Configuration::Backend& backend : configuration.backends) {
      if (backend.name != target->name()) continue;
      add_field(scope, backend.base_url);
      for (const std::string& word : backend.command) add_field(scope, word);
      for (const auto& [ours, theirs] : backend.upstream_models) {
        add_field(scope, ours);
        add_field(scope, theirs);
      }
    }
  }
  return scope;
}

}  // namespace deepseek::server
