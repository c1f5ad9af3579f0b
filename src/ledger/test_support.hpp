// For tests of this room: entries, and a ledger file of their own.
#pragma once

#include "ledger/usage_repository.hpp"
#include "storage/test_folder.hpp"

#include <stdexcept>
#include <string>

namespace deepseek::ledger {

inline UsageEntry test_entry(std::string request_id, std::string tenant = "a",
                             std::string backend = "b") {
  UsageEntry entry;
  entry.request_id = std::move(request_id);
  entry.tenant = std::move(tenant);
  entry.backend = std::move(backend);
  entry.model_asked = "alias";
  entry.model_upstream = "model";
  entry.endpoint = "chat";
  entry.time_ms = 10 * hour_ms + 1;
  entry.usage = {10, 5, 4, 2};
  entry.duration_ms = 120;
  entry.first_token_ms = 30;
  entry.cost_nano = 1000;
  entry.currency = "USD";
  return entry;
}

struct LedgerFile {
  storage::DatabaseOptions options() const {
    storage::DatabaseOptions made;
    made.file = folder.path() / "ledger.sqlite";
    made.busy_timeout = std::chrono::milliseconds(1);
    return made;
  }
  UsageRepository open() const {
    auto repository = UsageRepository::open(options());
    if (!repository) throw std::runtime_error(repository.error().message);
    return std::move(*repository);
  }
  // All attempts in the sums.
  UsageTotals totals() const {
    auto repository = open();
    auto rows = repository.totals({});
    if (!rows) throw std::runtime_error(rows.error().message);
    UsageTotals sum;
    for (const UsageRow& row : *rows) sum += row.totals;
    return sum;
  }

  storage::TestFolder folder;
};

}  // namespace deepseek::ledger
