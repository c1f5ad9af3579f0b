// A backend of the answer simulation: it answers every request with the text that is known of it,
// from where it was left, on a made-up clock; or it fails in one of the ways in which backends do.
//
// One thread. It checks on its side what an attempt may ask of it.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/virtual_clock.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway::testing {

struct KnownWord {
  std::string text;
  bool reasoning = false;
};
using KnownAnswer = std::vector<KnownWord>;

// Shared by all backends of one simulation.
struct SimulatedWorld {
  VirtualClock clock;
  std::map<std::string, KnownAnswer, std::less<>> answers;  // by request id
  std::string broken;                                       // the first promise that did not hold

  void check(bool promise, std::string_view what) {
    if (!promise && broken.empty()) broken = what;
  }
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    const auto span = static_cast<std::uint64_t>(high - low + 1);
    return low + static_cast<std::int64_t>(clock.random_bits() % span);
  }
  bool chance(int percent) { return pick(0, 99) < percent; }
};

struct SimulatedOptions {
  std::size_t index = 0;  // in the route
  bool local = false;  // an engine: it makes token ids, shows first tokens of whole answers, dies
  bool continues = true;
  int fault_percent = 0;  // of the attempts
  std::int64_t first_ms = 100;
  std::int64_t word_ms = 20;
};

class SimulatedBackend final : public Backend {
 public:
  SimulatedBackend(SimulatedWorld& world, const SimulatedOptions& options)
      : world_(world), options_(options) {}

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt&) override { return nullptr; }
  BackendStatus status() const override { return {BackendState::ready, "", 1, 0, 0}; }
  base::Milliseconds expected_first_token(std::int64_t) const override { return queue_time; }

  // The engine ends under its answers and is back after a while.
  void die(base::Milliseconds away);
  std::size_t live() const { return streams_.size(); }
  std::size_t live(std::string_view request_id) const;

  base::Milliseconds queue_time{0};

 private:
  class Stream;
  SimulatedWorld& world_;
  const SimulatedOptions options_;
  std::vector<Stream*> streams_;  // not over yet
  base::TimePoint back_at_{};
};

}  // namespace deepseek::gateway::testing
