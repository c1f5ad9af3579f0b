#include "gateway/responses/response_repository.hpp"

#include "storage/migration.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;

// The sums are kept by triggers, so that no way to change rows can miss them.
constexpr std::array<std::string_view, 1> steps{R"sql(
  CREATE TABLE response_chains (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    used_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX response_chains_by_use ON response_chains (tenant, used_ms);
  CREATE INDEX response_chains_by_age ON response_chains (used_ms);
  CREATE TABLE responses (
    id TEXT NOT NULL PRIMARY KEY,
    chain INTEGER NOT NULL REFERENCES response_chains (id),
    tenant TEXT NOT NULL,
    previous TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    output_begin INTEGER NOT NULL,
    output_bytes INTEGER NOT NULL,
    input BLOB NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX responses_by_chain ON responses (chain);
  CREATE TABLE response_sizes (
    tenant TEXT NOT NULL PRIMARY KEY,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TRIGGER responses_added AFTER INSERT ON responses BEGIN
    INSERT INTO response_sizes VALUES (new.tenant, 1, new.bytes)
      ON CONFLICT (tenant) DO UPDATE SET entries = entries + 1, bytes = bytes + new.bytes;
  END;
  CREATE TRIGGER responses_removed AFTER DELETE ON responses BEGIN
    UPDATE response_sizes SET entries = entries - 1, bytes = bytes - old.bytes
      WHERE tenant = old.tenant;
    DELETE FROM response_chains WHERE id = old.chain
      AND NOT EXISTS (SELECT 1 FROM responses WHERE chain = old.chain);
  END;
)sql"};

constexpr std::string_view of_tenant =
    " FROM responses JOIN response_chains ON response_chains.id = responses.chain"
    " WHERE responses.id = ?1 AND responses.tenant = ?2 AND used_ms > ?3";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text_of(std::span<const std::byte> blob) {
  return {reinterpret_cast<const char*>(blob.data()), blob.size()};
}

std::int64_t file_bytes(const StoredResponse& response) {
  constexpr std::size_t row_bytes = 300;  // about what the row and its places in indexes need
  return static_cast<std::int64_t>(response.input.size() + response.text.size() + row_bytes);
}

base::Error no_room(std::string what, std::int64_t bytes, std::int64_t bytes_max,
                    std::string_view setting) {
  return base::make_error(ErrorCode::payload_too_large,
                          std::move(what) + " has " + std::to_string(bytes) + " bytes; at most " +
                              std::to_string(bytes_max) + " (" + std::string(setting) +
                              ") are kept");
}

base::Error not_found(std::string_view id) {
  return base::make_error(ErrorCode::not_found,
                          "there is no response with the id \"" + std::string(id) +
                              "\" to go on from: it was never kept, it is too old, it was thrown "
                              "out for want of room, or it was deleted",
                          "previous_response_id");
}

}  // namespace

ResponseRepository::ResponseRepository(storage::Database database, const Limits& limits)
    : database_(std::move(database)), limits_(limits) {}

base::Result<ResponseRepository> ResponseRepository::open(const storage::DatabaseOptions& options,
                                                          const Limits& limits) {
  auto database = storage::Database::open(options);
  if (!database) return database.error();
  if (auto done = database->execute("PRAGMA secure_delete = ON"); !done) return done.error();
  if (auto done = storage::migrate(*database, "responses", steps); !done) return done.error();
  ResponseRepository repository(std::move(*database), limits);
  if (auto done = repository.prepare(); !done) return done.error();
  return repository;
}

base::Result<void> ResponseRepository::prepare() {
  const std::string found(of_tenant);
  const std::pair<std::optional<Statement>*, std::string> all[] = {
      {&find_, "SELECT body" + found},
      {&link_, "SELECT previous, input, substr(body, output_begin + 1, output_bytes)" + found},
      {&chain_of_, "SELECT chain" + found},
      {&chain_size_, "SELECT count(*), ifnull(sum(bytes), 0) FROM responses WHERE chain = ?1"},
      {&add_chain_, "INSERT INTO response_chains (tenant, used_ms) VALUES (?1, ?2) RETURNING id"},
      {&use_chain_, "UPDATE response_chains SET used_ms = max(used_ms, ?2) WHERE id = ?1"},
      {&add_,
       "INSERT INTO responses (id, chain, tenant, previous, created_ms, bytes, output_begin,"
       " output_bytes, input, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&size_of_, "SELECT entries, bytes FROM response_sizes WHERE tenant = ?1"},
      {&oldest_,
       "SELECT id FROM response_chains WHERE tenant = ?1 AND id != ?2 ORDER BY used_ms, id"
       " LIMIT 1"},
      {&clear_chain_, "DELETE FROM responses WHERE chain = ?1"},
      {&drop_chain_, "DELETE FROM response_chains WHERE id = ?1"},
      {&erase_, "DELETE FROM responses WHERE id = ?1 AND tenant = ?2"},
      {&expired_, "SELECT id FROM response_chains WHERE used_ms <= ?1 ORDER BY used_ms LIMIT 1"},
  };
  for (const auto& [statement, sql] : all) {
    auto made = database_.prepare(sql);
    if (!made) return made.error();
    statement->emplace(std::move(*made));
  }
  return {};
}

base::Result<void> ResponseRepository::put(const StoredResponse& response) {
  const std::int64_t bytes = file_bytes(response);
  if (bytes > limits_.response_bytes_max) {
    return no_room("the response with its input", bytes, limits_.response_bytes_max,
                   "responses.response_bytes_max");
  }
  auto transaction = storage::Transaction::begin(database_);
  if (!transaction) return transaction.error();
  const auto chain = chain_of(response, bytes);
  if (!chain) return chain.error();
  const std::uint64_t evicted_before = evicted_;
  auto done = make_room(response, *chain, bytes);
  if (done) {
    add_->bind(1, std::string_view(response.id))
        .bind(2, *chain)
        .bind(3, std::string_view(response.tenant))
        .bind(4, std::string_view(response.previous_id))
        .bind(5, response.now_ms)
        .bind(6, bytes)
        .bind(7, static_cast<std::int64_t>(response.output_begin))
        .bind(8, static_cast<std::int64_t>(response.output_end - response.output_begin))
        .bind(9, bytes_of(response.input))
        .bind(10, bytes_of(response.text));
    done = add_->run();
  }
  if (done) done = transaction->commit();
  if (!done) evicted_ = evicted_before;  // nothing of it has happened
  return done;
}

// The chain that the response belongs to, used now; a new one for a response that begins it.
base::Result<std::int64_t> ResponseRepository::chain_of(const StoredResponse& response,
                                                        std::int64_t bytes) {
  if (response.previous_id.empty()) {
    const auto row =
        add_chain_->bind(1, std::string_view(response.tenant)).bind(2, response.now_ms).step();
    if (!row) return row.error();
    const std::int64_t chain = add_chain_->integer(0);
    add_chain_->reset();
    return chain;
  }
  auto row = chain_of_->bind(1, std::string_view(response.previous_id))
                 .bind(2, std::string_view(response.tenant))
                 .bind(3, oldest_ms(response.now_ms))
                 .step();
  if (!row) return row.error();
  const std::int64_t chain = *row ? chain_of_->integer(0) : 0;
  chain_of_->reset();
  if (!*row) return not_found(response.previous_id);
  row = chain_size_->bind(1, chain).step();
  if (!row) return row.error();
  const Size size{chain_size_->integer(0) + 1, chain_size_->integer(1) + bytes};
  chain_size_->reset();
  if (size.bytes > limits_.tenant_bytes_max || size.rows > limits_.tenant_rows_max) {
    return base::make_error(ErrorCode::payload_too_large,
                            "the conversation alone is more than is kept of a tenant "
                            "(responses.tenant_bytes_max, responses.tenant_rows_max)");
  }
  if (auto done = use_chain_->bind(1, chain).bind(2, response.now_ms).run(); !done) {
    return done.error();
  }
  return chain;
}

base::Result<void> ResponseRepository::make_room(const StoredResponse& response, std::int64_t chain,
                                                 std::int64_t bytes) {
  if (bytes > limits_.tenant_bytes_max) {
    return no_room("the response with its input", bytes, limits_.tenant_bytes_max,
                   "responses.tenant_bytes_max");
  }
  while (true) {
    const auto now = size_of(response.tenant);
    if (!now) return now.error();
    if (now->bytes + bytes <= limits_.tenant_bytes_max && now->rows < limits_.tenant_rows_max) {
      return {};
    }
    const auto row = oldest_->bind(1, std::string_view(response.tenant)).bind(2, chain).step();
    if (!row) return row.error();
    const std::int64_t oldest = *row ? oldest_->integer(0) : 0;
    oldest_->reset();
    // Sums that say more than there is must not keep us here.
    if (!*row) return {};
    const auto removed = remove_chain(oldest);
    if (!removed) return removed.error();
    evicted_ += static_cast<std::uint64_t>(*removed);
  }
}

base::Result<std::int64_t> ResponseRepository::remove_chain(std::int64_t chain) {
  if (auto done = clear_chain_->bind(1, chain).run(); !done) return done.error();
  const std::int64_t removed = database_.changes();
  // The trigger has done it, unless the chain was empty.
  if (auto done = drop_chain_->bind(1, chain).run(); !done) return done.error();
  return removed;
}

base::Result<std::optional<std::string>> ResponseRepository::find(std::string_view tenant,
                                                                  std::string_view id,
                                                                  std::int64_t now_ms) {
  const auto row = find_->bind(1, id).bind(2, tenant).bind(3, oldest_ms(now_ms)).step();
  if (!row) return row.error();
  std::optional<std::string> found;
  if (*row) found = text_of(find_->blob(0));
  find_->reset();
  return found;
}

base::Result<std::vector<ResponseLink>> ResponseRepository::chain(std::string_view tenant,
                                                                  std::string_view id,
                                                                  std::int64_t now_ms,
                                                                  const ChainBounds& bounds) {
  std::vector<ResponseLink> links;
  std::int64_t bytes = 0;
  for (std::string next(id); !next.empty();) {
    const auto row =
        link_->bind(1, std::string_view(next)).bind(2, tenant).bind(3, oldest_ms(now_ms)).step();
    if (!row) return row.error();
    if (!*row) {
      link_->reset();
      if (bounds.may_be_broken && !links.empty()) break;
      return not_found(next);
    }
    std::string previous(link_->text(0));
    ResponseLink link{text_of(link_->blob(1)), text_of(link_->blob(2))};
    link_->reset();
    bytes += static_cast<std::int64_t>(link.input.size() + link.output.size());
    links.push_back(std::move(link));
    if (bytes > bounds.bytes_max || static_cast<std::int64_t>(links.size()) > bounds.links_max) {
      return base::make_error(ErrorCode::invalid_request,
                              "previous_response_id: the conversation behind it has more than " +
                                  std::to_string(bounds.bytes_max) + " bytes (http.body_max) or " +
                                  std::to_string(bounds.links_max) +
                                  " responses (limits.messages_max)",
                              "previous_response_id");
    }
    next = std::move(previous);
  }
  std::ranges::reverse(links);
  return links;
}

base::Result<bool> ResponseRepository::erase(std::string_view tenant, std::string_view id,
                                             std::int64_t now_ms) {
  const auto found = find(tenant, id, now_ms);
  if (!found) return found.error();
  if (!*found) return false;
  if (auto done = erase_->bind(1, id).bind(2, tenant).run(); !done) return done.error();
  // The log would hold what was erased until it is written over.
  if (auto done = database_.execute("PRAGMA wal_checkpoint(TRUNCATE)"); !done) return done.error();
  return true;
}

base::Result<std::int64_t> ResponseRepository::remove_expired(std::int64_t now_ms,
                                                              std::int64_t chains_max) {
  std::int64_t removed = 0;
  for (std::int64_t i = 0; i < chains_max; ++i) {
    const auto row = expired_->bind(1, oldest_ms(now_ms)).step();
    if (!row) return row.error();
    const std::int64_t chain = *row ? expired_->integer(0) : 0;
    expired_->reset();
    if (!*row) break;
    const auto rows = remove_chain(chain);
    if (!rows) return rows.error();
    removed += *rows;
  }
  return removed;
}

base::Result<ResponseRepository::Size> ResponseRepository::size_of(std::string_view tenant) {
  const auto row = size_of_->bind(1, tenant).step();
  if (!row) return row.error();
  Size found;
  if (*row) found = {size_of_->integer(0), size_of_->integer(1)};
  size_of_->reset();
  return found;
}

base::Result<ResponseRepository::Size> ResponseRepository::size() {
  auto statement = database_.prepare(
      "SELECT ifnull(sum(entries), 0), ifnull(sum(bytes), 0) FROM response_sizes");
  if (!statement) return statement.error();
  const auto row = statement->step();
  if (!row) return row.error();
  return Size{statement->integer(0), statement->integer(1)};
}

}  // namespace deepseek::gateway
