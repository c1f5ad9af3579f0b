// Computes the masks of constrained answers on a thread of its own, while the model computes.
//
// For the loop's thread. An answer that was handed over must not be touched before await() has
// returned. The destructor waits for the mask that is being made.
#pragma once

#include "engine/constrained_answer.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace deepseek::engine {

class MaskMaker {
 public:
  MaskMaker() = default;
  ~MaskMaker();
  MaskMaker(const MaskMaker&) = delete;
  MaskMaker& operator=(const MaskMaker&) = delete;

  // Begins answer->prepare(). The thread starts with the first one.
  void begin(std::shared_ptr<ConstrainedAnswer> answer);
  // The mask that was begun is ready; one that nobody has taken up is made here.
  void await(ConstrainedAnswer& answer);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<ConstrainedAnswer>> waiting_;  // guarded by mutex_
  std::shared_ptr<ConstrainedAnswer> running_;              // guarded
  bool stopping_ = false;                                   // guarded
  std::thread thread_;
};

}  // namespace deepseek::engine
