// Entries on their way from the I/O threads to the writer, in chunks.
//
// Pure; its owner's lock guards it. A push moves one entry and never moves those before it; memory
// follows the number that waits, and some empty chunks are kept for the next ones.
#pragma once

#include "ledger/usage_entry.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace deepseek::ledger {

class UsageQueue {
 public:
  static constexpr std::size_t chunk_entries = 256;
  static constexpr std::size_t spare_chunks_max = 8;
  using Chunks = std::vector<std::vector<UsageEntry>>;

  void push(UsageEntry&& entry) {
    if (chunks_.empty() || chunks_.back().size() == chunk_entries) add_chunk();
    chunks_.back().push_back(std::move(entry));
    ++size_;
  }

  std::size_t size() const { return size_; }

  Chunks take() {
    size_ = 0;
    return std::exchange(chunks_, {});
  }

  // What was taken, when it is not needed any more. Entries in it are destroyed; call it without
  // the lock and give the result to keep() with it.
  static Chunks emptied(Chunks chunks) {
    if (chunks.size() > spare_chunks_max) chunks.resize(spare_chunks_max);
    for (auto& chunk : chunks) chunk.clear();
    return chunks;
  }
  void keep(Chunks&& empty_chunks) {
    for (auto& chunk : empty_chunks) {
      if (spare_.size() < spare_chunks_max) spare_.push_back(std::move(chunk));
    }
  }

 private:
  void add_chunk() {
    if (spare_.empty()) {
      chunks_.emplace_back().reserve(chunk_entries);
    } else {
      chunks_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
  }

  Chunks chunks_;
  Chunks spare_;
  std::size_t size_ = 0;
};

}  // namespace deepseek::ledger
