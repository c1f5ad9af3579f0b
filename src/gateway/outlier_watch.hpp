// Compares the backends of each route now and then, and tells those that do far worse than the
// others to stay away for a while.
//
// Made by main() and called by it alone, on its own thread; the targets outlive it. The comparing
// is OutlierDetector's; this gathers the samples of every target once and shares them out, since a
// target may serve several routes.
#pragma once

#include "gateway/resilience/outlier_detector.hpp"
#include "gateway/target.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

class OutlierWatch {
 public:
  // The backends of each route. Engines of this machine are left out: they are not slower for a
  // fault, and a route that names one first wants it first. A set that was there before keeps what
  // is known of it, and how often each was sent away.
  void watch(const std::vector<std::vector<Target*>>& routes, const OutlierOptions& options);

  // Every `options.interval`. `on_ejection` hears who was sent away.
  using Listener = std::function<void(const Target& target, const Ejection& ejection)>;
  void evaluate(base::TimePoint now, const Listener& on_ejection = {});

 private:
  struct Peers {
    std::vector<Target*> targets;
    OutlierDetector detector;
  };
  std::vector<Peers> peers_;
  std::vector<Target*> targets_;  // of all of them, each once
};

}  // namespace deepseek::gateway
