// scheduler_steps [SEQUENCES] [WAITING]: what the scheduler itself costs, per step, in
// microseconds. Prints one JSON object: median and 99th percentile over 2,000 steps in which all
// sequences decode and others wait, some of them with a common prefix.
#include "engine/scheduler.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace deepseek::engine {
namespace {

SequenceSpec make_spec(SequenceId id) {
  SequenceSpec spec;
  spec.id = id;
  spec.prompt.assign(200, static_cast<Token>(id % 4 == 0 ? 1 : id));
  spec.tenant = "tenant-" + std::to_string(id % 8);
  spec.user_id = std::to_string(id % 3);
  spec.arrival = base::TimePoint(std::chrono::milliseconds(id));
  return spec;
}

void run(std::int32_t sequences, std::int32_t waiting) {
  constexpr int kSteps = 2000;
  SchedulerOptions options;
  options.sequences_max = sequences;
  options.slots = 256;
  options.queue_max = 4096;
  options.context_max = 8192;
  options.cells = sequences * (options.context_max / 2);
  Scheduler scheduler(options);
  SequenceId ids = 0;
  std::vector<double> costs;
  base::TimePoint now{std::chrono::hours(1)};
  while (static_cast<int>(costs.size()) < kSteps) {
    while (scheduler.load().running + scheduler.load().waiting < sequences + waiting) {
      if (scheduler.submit(make_spec(++ids)).has_error()) std::abort();
    }
    const auto begun = base::now();
    const StepPlan plan = scheduler.plan(now);
    const auto planned = base::now();
    std::vector<Sampled> sampled;
    for (const Slice& slice : plan.slices) {
      if (slice.wants_logits) sampled.push_back({slice.id, 7, false, true});
    }
    now += std::chrono::milliseconds(50);
    const auto sampled_at = base::now();
    scheduler.complete(plan, sampled, now, std::chrono::milliseconds(50));
    const std::chrono::duration<double, std::micro> cost =
        (planned - begun) + (base::now() - sampled_at);
    if (static_cast<std::int32_t>(sampled.size()) == sequences) costs.push_back(cost.count());
  }
  std::sort(costs.begin(), costs.end());
  std::printf("{\"sequences\": %d, \"waiting\": %d, \"median_us\": %.1f, \"p99_us\": %.1f}\n",
              sequences, waiting, costs[costs.size() / 2], costs[costs.size() * 99 / 100]);
}

}  // namespace
}  // namespace deepseek::engine

int main(int argc, char** argv) {
  deepseek::engine::run(argc > 1 ? std::atoi(argv[1]) : 64, argc > 2 ? std::atoi(argv[2]) : 200);
  return 0;
}
