#include "server/usage_recorder.hpp"

#include "base/clock.hpp"
#include "server/wiring.hpp"

#include <cmath>
#include <cstdlib>
#include <utility>

namespace deepseek::server {
namespace {

using std::chrono::milliseconds;

ledger::AttemptOutcome to_outcome(gateway::AttemptOutcome outcome) {
  switch (outcome) {
    case gateway::AttemptOutcome::answered:
      return ledger::AttemptOutcome::ok;
    case gateway::AttemptOutcome::continued:
      return ledger::AttemptOutcome::continued;
    case gateway::AttemptOutcome::failed:
      return ledger::AttemptOutcome::failed;
    case gateway::AttemptOutcome::cancelled:
      return ledger::AttemptOutcome::cancelled;
    case gateway::AttemptOutcome::hedge_lost:
      return ledger::AttemptOutcome::hedge_lost;
    case gateway::AttemptOutcome::shadow:
      return ledger::AttemptOutcome::shadow;
  }
  return ledger::AttemptOutcome::failed;
}

std::int64_t whole_milliseconds(base::TimePoint from, base::TimePoint to) {
  return std::chrono::duration_cast<milliseconds>(to - from).count();
}

// In thousand-millionths of the currency.
std::int64_t cost_of(const gateway::TokenPrices& prices, const protocol::Usage& usage,
                     std::int64_t unix_seconds) {
  gateway::TokenAmounts amounts;
  amounts.input = static_cast<std::uint64_t>(usage.prompt_tokens);
  amounts.input_cached = static_cast<std::uint64_t>(usage.prompt_cache_hit_tokens);
  amounts.output = static_cast<std::uint64_t>(usage.completion_tokens);
  return std::llround(gateway::price_of(prices, amounts, unix_seconds) * 1e9);
}

}  // namespace

UsageRecorder::UsageRecorder(std::unique_ptr<ledger::UsageLedger> ledger,
                             const Configuration& configuration)
    : ledger_(std::move(ledger)) {
  set_prices(configuration);
}

void UsageRecorder::set_prices(const Configuration& configuration) {
  auto prices = std::make_shared<Prices>();
  for (const Configuration::Backend& backend : configuration.backends) {
    const bool free = backend.price_input == 0 && backend.price_output == 0;
    if (!free) (*prices)[backend.name] = {token_prices(backend), backend.price_currency};
  }
  const std::lock_guard lock(mutex_);
  prices_ = std::move(prices);
}

std::shared_ptr<const UsageRecorder::Prices> UsageRecorder::prices() const {
  const std::lock_guard lock(mutex_);
  return prices_;
}

void UsageRecorder::on_attempt(const gateway::AttemptRecord& record) {
  ledger::UsageEntry entry;
  entry.request_id = record.request_id;
  entry.attempt = static_cast<std::int32_t>(record.number);
  entry.tenant = record.tenant;
  entry.backend = record.backend;
  entry.model_asked = record.model;
  entry.time_ms = base::unix_milliseconds();
  entry.usage = record.usage;
  entry.counted_by = record.counted_by == gateway::CountedBy::backend ? ledger::CountedBy::upstream
                                                                      : ledger::CountedBy::counted;
  entry.outcome = to_outcome(record.outcome);
  entry.http_status = record.failure ? record.status : 200;
  entry.duration_ms = whole_milliseconds(record.began, record.ended);
  if (record.first_token) {
    entry.first_token_ms = whole_milliseconds(record.began, *record.first_token);
  }
  entry.cached = record.cached;
  const auto all = prices();
  const auto priced = all->find(record.backend);
  if (priced != all->end()) {
    entry.cost_nano = cost_of(priced->second.prices, record.usage, entry.time_ms / 1000);
    entry.currency = priced->second.currency;
  }
  ledger_->record(std::move(entry));
}

std::string data_directory(const Configuration& configuration) {
  if (!configuration.data_dir.empty()) return configuration.data_dir;
  // systemd's own, from StateDirectory=.
  const char* const given = std::getenv("STATE_DIRECTORY");
  if (given != nullptr && *given == '/') return given;
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/deepseek-server";
  const char* const home = std::getenv("HOME");
  const bool known = home != nullptr && *home == '/';
  return (known ? std::string(home) + "/.local/state" : std::string("/var/lib")) +
         "/deepseek-server";
}

base::Result<std::unique_ptr<UsageRecorder>> make_usage_recorder(const Configuration& configuration,
                                                                 base::Logger logger) {
  if (!configuration.ledger.enabled) return std::unique_ptr<UsageRecorder>{};
  ledger::LedgerOptions options;
  options.database.file = data_directory(configuration) + "/usage.db";
  options.queue_max = configuration.ledger.queue_max;
  options.flush = configuration.ledger.flush_ms;
  auto opened = ledger::UsageLedger::open(options, logger);
  if (opened.has_error()) return opened.error();
  return std::make_unique<UsageRecorder>(std::move(*opened), configuration);
}

}  // namespace deepseek::server
