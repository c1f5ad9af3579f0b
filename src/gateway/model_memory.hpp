// One memory budget for the engines of all models: which may be loaded, and who makes room.
//
// Any thread. An engine asks before its process starts. Where the budget has no room for it, models
// that nobody uses are asked to leave, the longest unused first; a model in use is never asked, so
// the engine waits until enough of them are idle. One that is alone may always load. The callbacks
// run on the thread that made room and must only hand the word on.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace deepseek::gateway {

class ModelMemory {
 public:
  explicit ModelMemory(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}  // 0: no bound

  struct Model {
    std::string name;
    std::uint64_t bytes = 0;      // of weights and KV pool
    std::function<void()> load;   // there is room: it is held from now on
    std::function<void()> leave;  // end the process, then tell gone(); or tell stays()
  };
  std::size_t add(Model model);  // its number

  // Work waits for the model. `load` follows, at once or when there is room; once.
  void wants(std::size_t model);
  // What it waits for, in plain words; empty: nothing.
  std::string reason(std::size_t model) const;
  void in_use(std::size_t model, bool used);
  // Asked to leave, but there is new work.
  void stays(std::size_t model);
  // Its memory is free again, or it gave up: it holds nothing and wants nothing.
  void gone(std::size_t model);

  std::uint64_t held() const;  // bytes

 private:
  enum class State { out, wanted, held, leaving };
  struct Place {
    Model model;
    State state = State::out;
    bool used = false;
    std::uint64_t last = 0;   // a number that grows with each use
    std::uint64_t since = 0;  // wanted
  };
  using Calls = std::vector<std::function<void()>>;

  Calls settle();
  Place* first_wanted();
  Place* longest_unused();
  std::uint64_t bytes_of(State state) const;
  static void run(const Calls& calls);

  std::uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::vector<Place> places_;
  std::uint64_t uses_ = 0;
};

}  // namespace deepseek::gateway
