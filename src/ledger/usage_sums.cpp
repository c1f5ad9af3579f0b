#include "ledger/usage_sums.hpp"

#include <algorithm>

namespace deepseek::ledger {
namespace {

constexpr std::string_view other = "other";

std::int64_t not_negative(std::int64_t number) {
  return std::clamp<std::int64_t>(number, 0, sum_max);
}

void add_to(std::int64_t& sum, std::int64_t number) {
  number = not_negative(number);
  sum = number > sum_max - sum ? sum_max : sum + number;
}

}  // namespace

std::string_view to_string(CountedBy counted_by) {
  switch (counted_by) {
    case CountedBy::upstream:
      return "upstream";
    case CountedBy::counted:
      return "counted";
    case CountedBy::estimated:
      return "estimated";
  }
  return "unknown";
}

std::string_view to_string(AttemptOutcome outcome) {
  switch (outcome) {
    case AttemptOutcome::ok:
      return "ok";
    case AttemptOutcome::failed:
      return "failed";
    case AttemptOutcome::cancelled:
      return "cancelled";
    case AttemptOutcome::hedge_lost:
      return "hedge_lost";
    case AttemptOutcome::continued:
      return "continued";
    case AttemptOutcome::shadow:
      return "shadow";
  }
  return "unknown";
}

UsageTotals& UsageTotals::operator+=(const UsageTotals& more) {
  add_to(attempts, more.attempts);
  add_to(answered, more.answered);
  add_to(failed, more.failed);
  add_to(cached, more.cached);
  add_to(details_lost, more.details_lost);
  add_to(prompt_tokens, more.prompt_tokens);
  add_to(completion_tokens, more.completion_tokens);
  add_to(cache_hit_tokens, more.cache_hit_tokens);
  add_to(reasoning_tokens, more.reasoning_tokens);
  add_to(cost_nano, more.cost_nano);
  return *this;
}

UsageKeyView::UsageKeyView(const UsageEntry& entry)
    : hour(entry.time_ms / hour_ms),
      tenant(entry.tenant),
      backend(entry.backend),
      model(entry.model_upstream.empty() ? entry.model_asked : entry.model_upstream),
      currency(entry.currency) {}

UsageTotals totals_of(const UsageEntry& entry) {
  UsageTotals totals;
  totals.attempts = 1;
  totals.answered = entry.outcome == AttemptOutcome::ok ? 1 : 0;
  totals.failed =
      entry.outcome == AttemptOutcome::failed || entry.outcome == AttemptOutcome::continued ? 1 : 0;
  totals.cached = entry.cached ? 1 : 0;
  totals.prompt_tokens = not_negative(entry.usage.prompt_tokens);
  totals.completion_tokens = not_negative(entry.usage.completion_tokens);
  totals.cache_hit_tokens = not_negative(entry.usage.prompt_cache_hit_tokens);
  totals.reasoning_tokens = not_negative(entry.usage.reasoning_tokens);
  totals.cost_nano = not_negative(entry.cost_nano);
  return totals;
}

void UsageSums::add(const UsageKeyView& key, const UsageTotals& totals) {
  auto found = sums_.find(key);
  if (found == sums_.end()) {
    UsageKey made{key.hour, std::string(key.tenant), std::string(key.backend),
                  std::string(key.model), std::string(key.currency)};
    if (sums_.size() >= keys_max_) {
      made.backend = other;
      made.model = other;
    }
    if (sums_.size() >= 2 * keys_max_) {
      made.hour = 0;
      made.tenant = other;
    }
    found = sums_.try_emplace(std::move(made)).first;
  }
  found->second += totals;
}

}  // namespace deepseek::ledger
