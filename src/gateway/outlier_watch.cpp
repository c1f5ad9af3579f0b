#include "gateway/outlier_watch.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

void OutlierWatch::watch(const std::vector<std::vector<Target*>>& routes,
                         const OutlierOptions& options) {
  std::vector<Peers> before = std::exchange(peers_, {});
  targets_.clear();
  for (std::vector<Target*> targets : routes) {
    std::erase_if(targets, [](const Target* target) { return target->options().local; });
    std::sort(targets.begin(), targets.end());
    const auto same = [&targets](const Peers& peers) { return peers.targets == targets; };
    if (targets.size() < 2 || std::any_of(peers_.begin(), peers_.end(), same)) continue;
    targets_.insert(targets_.end(), targets.begin(), targets.end());
    const auto known = std::find_if(before.begin(), before.end(), same);
    if (known != before.end()) {
      peers_.push_back(std::move(*known));
    } else {
      const std::size_t count = targets.size();
      peers_.push_back({std::move(targets), OutlierDetector(count, options)});
    }
  }
  std::sort(targets_.begin(), targets_.end());
  targets_.erase(std::unique(targets_.begin(), targets_.end()), targets_.end());
}

void OutlierWatch::evaluate(base::TimePoint now, const Listener& on_ejection) {
  std::vector<OutlierSample> taken;
  for (Target* target : targets_) taken.push_back(target->health().take_sample());
  for (Peers& peers : peers_) {
    std::vector<OutlierSample> samples;
    for (Target* target : peers.targets) {
      const auto place = std::lower_bound(targets_.begin(), targets_.end(), target);
      samples.push_back(taken[static_cast<std::size_t>(place - targets_.begin())]);
    }
    for (const Ejection& ejection : peers.detector.evaluate(samples, now)) {
      Target& target = *peers.targets[ejection.index];
      target.health().eject(ejection);
      if (on_ejection) on_ejection(target, ejection);
    }
  }
}

}  // namespace deepseek::gateway
