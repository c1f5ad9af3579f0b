// The cache's table in a SQLite file, bounded by bytes and entries: the oldest written go first.
//
// Owns its database; the worker of SqliteCacheStore alone uses it. What a damaged or foreign file
// holds is not trusted: a row that cannot be replayed is removed and is a miss.
#pragma once

#include "gateway/cache/cached_answer.hpp"
#include "storage/database.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

class CacheRepository {
 public:
  struct Limits {
    std::int64_t bytes_max = std::int64_t{1} << 30;  // of packed answers
    std::int64_t entries_max = 1'000'000;
    std::uint64_t raw_bytes_max = 16 << 20;  // of one answer when it is replayed
  };
  static base::Result<CacheRepository> open(const storage::DatabaseOptions& options,
                                            const Limits& limits);

  base::Result<std::optional<CachedAnswer>> find(const CacheKey& key);
  base::Result<void> put(const CacheKey& key, const CachedAnswer& answer);
  base::Result<void> erase(const CacheKey& key);
  // Its content is overwritten in the file, not only unlinked.
  base::Result<void> clear_tenant(std::string_view tenant);
  // Of the `rows_max` oldest rows those that have expired. How many there were.
  base::Result<std::int64_t> remove_expired(std::int64_t now_ms, std::int64_t rows_max);

  struct Size {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
  };
  base::Result<Size> size();

  // For a transaction around several calls.
  storage::Database& database() { return database_; }

 private:
  CacheRepository(storage::Database database, const Limits& limits);
  base::Result<void> prepare();
  base::Result<void> make_room();

  storage::Database database_;
  Limits limits_;
  std::optional<storage::Statement> find_;
  std::optional<storage::Statement> put_;
  std::optional<storage::Statement> erase_;
  std::optional<storage::Statement> size_;
  std::optional<storage::Statement> remove_oldest_;
};

}  // namespace deepseek::gateway
