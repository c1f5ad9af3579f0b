#include "gateway/engine_queue_time.hpp"

#include <algorithm>

namespace deepseek::gateway {
namespace {

constexpr double answer_ms_guess = 1'000;  // before the first answer has ended
constexpr double wait_ms_max = 3'600'000;

}  // namespace

base::Milliseconds engine_queue_time(const EngineLoadFigures& load, std::int32_t sequences_max,
                                     std::int32_t live, std::int64_t prompt_tokens) {
  const std::int32_t known = load.running + load.waiting;
  const std::int32_t unknown = std::max(0, live - known);
  double wait_ms = 0;
  // A place in the batch. If some wait beside free places, room in the KV pool is what they lack.
  const std::int32_t places =
      std::max(1, load.waiting > 0 ? std::min(load.running, sequences_max) : sequences_max);
  const std::int32_t ahead = known + unknown + 1 - places;
  if (ahead > 0) {
    const double answer_ms = load.answer_ms > 0 ? load.answer_ms : answer_ms_guess;
    wait_ms += ahead * answer_ms / places;
  }
  if (load.prefill_tokens_per_second > 0) {
    const auto unread = static_cast<double>(load.unread_tokens + (unknown + 1) * prompt_tokens);
    wait_ms += unread / load.prefill_tokens_per_second * 1'000;
  }
  return base::Milliseconds(static_cast<std::int64_t>(std::min(wait_ms, wait_ms_max)));
}

}  // namespace deepseek::gateway
