#include "engine/mask_maker.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

MaskMaker::~MaskMaker() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MaskMaker::begin(std::shared_ptr<ConstrainedAnswer> answer) {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(answer));
  }
  changed_.notify_all();
}

void MaskMaker::await(ConstrainedAnswer& answer) {
  std::unique_lock lock(mutex_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&answer](const auto& waiting) {
    return waiting.get() == &answer;
  });
  if (found != waiting_.end()) {
    const std::shared_ptr<ConstrainedAnswer> taken = std::move(*found);
    waiting_.erase(found);
    lock.unlock();
    taken->prepare();
    return;
  }
  changed_.wait(lock, [this, &answer] { return running_.get() != &answer; });
}

void MaskMaker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    running_->prepare();
    lock.lock();
    running_.reset();
    changed_.notify_all();
  }
}

}  // namespace deepseek::engine
