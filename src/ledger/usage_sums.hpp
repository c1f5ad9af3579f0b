// Sums of usage per hour, tenant, backend, model and currency.
//
// Pure. A UsageSums is bounded: when it has too many different keys, backend and model become
// "other", and beyond twice as many the tenant too. Nothing is left out of the sums, and no sum
// overflows or falls: they stop at sum_max, and negative numbers count as 0.
#pragma once

#include "ledger/usage_entry.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

namespace deepseek::ledger {

inline constexpr std::int64_t sum_max = 9'000'000'000'000'000'000;
inline constexpr std::int64_t hour_ms = 3'600'000;

struct UsageTotals {
  std::int64_t attempts = 0;
  std::int64_t answered = 0;      // with outcome ok
  std::int64_t failed = 0;        // with outcome failed or continued
  std::int64_t cached = 0;        // by the response cache
  std::int64_t details_lost = 0;  // attempts that are in these sums but have no row of their own
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cache_hit_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  std::int64_t cost_nano = 0;

  UsageTotals& operator+=(const UsageTotals& other);
  bool operator==(const UsageTotals&) const = default;
};

struct UsageKey {
  std::int64_t hour = 0;  // since 1970
  std::string tenant;
  std::string backend;
  std::string model;  // as the backend was asked for it
  std::string currency;
  bool operator==(const UsageKey&) const = default;
};

// The same without copies, to look for one.
struct UsageKeyView {
  explicit UsageKeyView(const UsageKey& key)
      : hour(key.hour),
        tenant(key.tenant),
        backend(key.backend),
        model(key.model),
        currency(key.currency) {}
  explicit UsageKeyView(const UsageEntry& entry);

  std::int64_t hour;
  std::string_view tenant;
  std::string_view backend;
  std::string_view model;
  std::string_view currency;
};

struct UsageKeyLess {
  using is_transparent = void;
  template <class Left, class Right>
  bool operator()(const Left& left, const Right& right) const {
    return less(UsageKeyView(left), UsageKeyView(right));
  }

 private:
  static bool less(const UsageKeyView& left, const UsageKeyView& right) {
    const auto tie = [](const UsageKeyView& key) {
      return std::tie(key.hour, key.tenant, key.backend, key.model, key.currency);
    };
    return tie(left) < tie(right);
  }
};

using UsageSumMap = std::map<UsageKey, UsageTotals, UsageKeyLess>;

UsageTotals totals_of(const UsageEntry& entry);

class UsageSums {
 public:
  explicit UsageSums(std::size_t keys_max) : keys_max_(keys_max) {}

  void add(const UsageKeyView& key, const UsageTotals& totals);
  bool empty() const { return sums_.empty(); }
  std::size_t size() const { return sums_.size(); }
  const UsageSumMap& sums() const { return sums_; }

 private:
  std::size_t keys_max_;
  UsageSumMap sums_;
};

}  // namespace deepseek::ledger
