// The Embed calls that wait, and which of their inputs are computed together.
//
// Pure; owned by the engine loop. Calls take turns input by input, so that a short one is not held
// up by the thousands of another; each reply has its vectors in the order of its inputs.
#pragma once

#include "engine/model_interface.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace deepseek::engine {

class EmbedQueue {
 public:
  struct Options {
    std::size_t calls_max = 256;
    std::size_t inputs_max = kEmbeddedTogether;  // of one batch
    std::size_t tokens_max = 1024;               // of one batch, unless it is a single input
  };

  explicit EmbedQueue(const Options& options) : options_(options) {}

  bool full() const { return calls_.size() >= options_.calls_max; }
  bool empty() const { return calls_.empty(); }
  // There must be room; `inputs` has at least one, and each at least one token.
  void push(std::uint64_t call, std::vector<std::vector<Token>> inputs);
  // Forgets a call; false if there is no such one. What is computed for it is dropped, and a batch
  // that was for nobody else is given up.
  bool remove(std::uint64_t call);

  // True between next() and computed() or failed().
  bool computing() const { return !batch_.empty(); }
  // The inputs of the next batch; empty if there are no calls.
  std::vector<std::vector<Token>> next();
  // One vector for each input of the batch. Replies that are whole now, their calls are gone.
  std::vector<wire::EmbedReply> computed(std::vector<std::vector<float>> vectors);
  // The batch could not be computed. The calls that had a part in it; they are gone.
  std::vector<std::uint64_t> failed();

 private:
  struct Call {
    std::uint64_t call = 0;
    std::vector<std::vector<Token>> inputs;
    std::size_t begun = 0;  // inputs that were given to a batch
    std::size_t computed = 0;
    wire::EmbedReply reply;
  };
  struct Part {
    std::uint64_t call = 0;
    std::size_t input = 0;
  };

  Call* find(std::uint64_t call);

  Options options_;
  std::deque<Call> calls_;
  std::vector<Part> batch_;  // in the order of its inputs
};

}  // namespace deepseek::engine
