#include "gateway/resilience/failure.hpp"

namespace deepseek::gateway {
namespace {

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < failure_table.size(); ++i) {
    if (static_cast<std::size_t>(failure_table[i].kind) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "describe() finds the row of a kind by its number");
static_assert(static_cast<std::size_t>(FailureKind::refused_suspect) + 1 == failure_kinds);

}  // namespace

FailureKind failure_of_status(int status) {
  switch (status) {
    case 401:
    case 402:
      return FailureKind::status_4xx_ours;
    case 403:  // some clouds refuse a prompt's content so: one client must not open the breaker
    case 404:
    case 405:
    case 409:
    case 410:
    case 425:
    case 451:
      return FailureKind::status_4xx_there;
    case 408:
      return FailureKind::status_408;
    case 429:
      return FailureKind::status_429;
    case 502:
    case 503:
    case 504:
    case 529:  // "overloaded", as some APIs say it
      return FailureKind::status_502_503_504;
    default:
      break;
  }
  if (status >= 520 && status <= 527) return FailureKind::status_502_503_504;  // a proxy's own
  if (status >= 500 && status <= 599) return FailureKind::status_500;
  if (status >= 400 && status <= 499) return FailureKind::status_400_client;
  return FailureKind::bad_answer;
}

}  // namespace deepseek::gateway
