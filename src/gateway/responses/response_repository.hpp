// The tables of kept responses in a SQLite file: each belongs to a tenant and to a chain, which is
// a response and all that went on from it.
//
// Bounded for each tenant by rows and bytes. A chain is thrown out as a whole, the one that was
// used the longest ago first, so that a conversation that goes on never loses its beginning.
// Owns its database; the worker of ResponseStore alone uses it.
#pragma once

#include "storage/database.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct StoredResponse {
  std::string id;
  std::string tenant;
  std::string previous_id;  // empty: it begins a chain
  std::int64_t now_ms = 0;
  std::string input;             // a JSON list of items, as they came
  std::string text;              // the response as JSON
  std::size_t output_begin = 0;  // where in the text the list of its output stands
  std::size_t output_end = 0;
};

struct ResponseLink {
  std::string input;
  std::string output;
};

// How much of a conversation may be read.
struct ChainBounds {
  std::int64_t links_max = 4096;
  std::int64_t bytes_max = 16 << 20;
  bool may_be_broken = false;  // behind a link that is not there nothing is told
};

class ResponseRepository {
 public:
  struct Limits {
    std::int64_t response_bytes_max = 4 << 20;  // of one response with its input
    std::int64_t tenant_bytes_max = 256 << 20;
    std::int64_t tenant_rows_max = 10'000;
    std::int64_t keep_ms = 30LL * 24 * 3'600'000;  // after a chain was used last
  };
  static base::Result<ResponseRepository> open(const storage::DatabaseOptions& options,
                                               const Limits& limits);

  // All or nothing. payload_too_large if the response, or its chain, finds no room even alone;
  // not_found if what it goes on from has gone meanwhile.
  base::Result<void> put(const StoredResponse& response);

  // Its text; nothing for an id that the tenant does not have.
  base::Result<std::optional<std::string>> find(std::string_view tenant, std::string_view id,
                                                std::int64_t now_ms);

  // The response and all before it, the oldest first. not_found if one of them
  // is not there; invalid_request beyond the bounds.
  base::Result<std::vector<ResponseLink>> chain(std::string_view tenant, std::string_view id,
                                                std::int64_t now_ms, const ChainBounds& bounds);

  // False if the tenant has no such response. What was erased is overwritten in the file. A chain
  // that has lost a link cannot be gone on with behind it.
  base::Result<bool> erase(std::string_view tenant, std::string_view id, std::int64_t now_ms);

  // Removes up to `chains_max` chains that are too old. How many responses those were.
  base::Result<std::int64_t> remove_expired(std::int64_t now_ms, std::int64_t chains_max);

  struct Size {
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
  };
  base::Result<Size> size();
  base::Result<Size> size_of(std::string_view tenant);
  // Responses thrown out for want of room since the start.
  std::uint64_t evicted() const { return evicted_; }

 private:
  using Statement = storage::Statement;

  ResponseRepository(storage::Database database, const Limits& limits);
  base::Result<void> prepare();
  base::Result<std::int64_t> chain_of(const StoredResponse& response, std::int64_t bytes);
  base::Result<void> make_room(const StoredResponse& response, std::int64_t chain,
                               std::int64_t bytes);
  base::Result<std::int64_t> remove_chain(std::int64_t chain);
  std::int64_t oldest_ms(std::int64_t now_ms) const { return now_ms - limits_.keep_ms; }

  storage::Database database_;
  Limits limits_;
  std::uint64_t evicted_ = 0;
  std::optional<Statement> find_;
  std::optional<Statement> link_;
  std::optional<Statement> chain_of_;
  std::optional<Statement> chain_size_;
  std::optional<Statement> add_chain_;
  std::optional<Statement> use_chain_;
  std::optional<Statement> add_;
  std::optional<Statement> size_of_;
  std::optional<Statement> oldest_;
  std::optional<Statement> clear_chain_;
  std::optional<Statement> drop_chain_;
  std::optional<Statement> erase_;
  std::optional<Statement> expired_;
};

}  // namespace deepseek::gateway
