// What a reload may change for the frontend, as one immutable value; and the place from which each
// request takes the current one.
//
// The holder may be read and replaced from any thread. A request keeps what it took to its end.
#pragma once

#include "access/key_table.hpp"
#include "gateway/gateway.hpp"
#include "protocol/request_limits.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace deepseek::gateway {
class ResponseStore;
}

namespace deepseek::frontend {

class AnswerCache;

struct Snapshot {
  std::shared_ptr<const gateway::Gateway> gateway;
  std::shared_ptr<const access::KeyTable> keys = std::make_shared<access::KeyTable>();
  AnswerCache* cache = nullptr;                 // not owned; null: no answers are kept
  gateway::ResponseStore* responses = nullptr;  // not owned; null: none are kept
  protocol::RequestLimits limits;
  std::uint64_t body_max = 16u << 20;
  std::chrono::milliseconds keep_alive_comment{10'000};  // of streams; 0: none
  std::chrono::milliseconds keep_alive_line{30'000};     // of whole answers; 0: none
  std::chrono::milliseconds request_timeout{600'000};    // of a whole answer; 0: none
};

class SnapshotHolder {
 public:
  explicit SnapshotHolder(std::shared_ptr<const Snapshot> first) : current_(std::move(first)) {}

  std::shared_ptr<const Snapshot> get() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  void replace(std::shared_ptr<const Snapshot> next) {
    const std::lock_guard lock(mutex_);
    current_.swap(next);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;
};

}  // namespace deepseek::frontend
