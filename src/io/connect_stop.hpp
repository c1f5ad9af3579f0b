// Ends a connect() that is under way: it then returns `cancelled`.
//
// Shared by who connects and who may give up, both on one thread.
#pragma once

#include <functional>
#include <utility>

namespace deepseek::io {

class ConnectStop {
 public:
  void pull() {
    pulled_ = true;
    if (end_) end_();
  }
  bool pulled() const { return pulled_; }
  // What ends the step that waits now; empty between steps.
  void arm(std::function<void()> end) {
    end_ = std::move(end);
    if (pulled_ && end_) end_();
  }

 private:
  bool pulled_ = false;
  std::function<void()> end_;
};

}  // namespace deepseek::io
