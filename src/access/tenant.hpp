// Who a request belongs to. A value; owned by the KeyTable that named it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::access {

inline constexpr std::string_view default_tenant_name = "default";

struct Tenant {
  std::string name{default_tenant_name};
  double weight = 1;              // of its share when requests wait, > 0
  std::int32_t priority_max = 0;  // the highest priority that its requests may ask for, ≥ 0
  std::string
      balance{};  // what its key may spend, as "110.00 CNY"; empty: it is not told, and free

  // False with an amount of zero.
  bool may_spend() const {
    const std::string_view amount = std::string_view(balance).substr(0, balance.find(' '));
    return amount.empty() || amount.find_first_of("123456789") != std::string_view::npos;
  }
};

}  // namespace deepseek::access
