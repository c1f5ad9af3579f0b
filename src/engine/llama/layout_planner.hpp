// Decides for each model file which of its weights get a layout of ours, and tells what came of it.
//
// Owned by main(), used by the thread that loads models: prepare() before a load, finish() after
// it. Measures what it has not measured on this machine before. Where weights could be converted to
// a format that has kernels, and nobody knows what this file loses by it, loss_is_missing() says
// so, and Model measures it: two loads of the file, with and without them.
#pragma once

#include "engine/layout_choice.hpp"
#include "engine/llama/weight_layouts.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::engine::llama {

class LayoutPlanner {
 public:
  struct Options {
    std::int32_t threads = 1;
    std::string memory_file;  // of measurements; empty: they are made each time
    // Millionths by which conversions may raise the perplexity; 0: nothing is converted.
    std::int64_t loss_max = 0;
    // For tests: these kernels for every weight that they can multiply, faster or not.
    std::optional<kernels::InstructionSet> forced{};
  };

  // Fails with `unavailable` where this machine or this ggml has no place for layouts of ours.
  static base::Result<std::unique_ptr<LayoutPlanner>> make(Options options);

  // For the next load of this file. What cannot be read is left to the load to complain of.
  void prepare(const std::string& model_file);

  bool loss_is_missing() const;
  // For the next load alone: with the conversions of which the loss is to be known, or without.
  void use_plan(bool with_conversions);
  // In millionths of the perplexity; none: it could not be measured, and nothing is converted.
  void keep_loss(std::optional<std::int64_t> loss);
  std::int32_t threads() const { return options_.threads; }

  // After it: formats with their layouts. Fails with `invalid_request` if a weight was damaged.
  base::Result<std::vector<LayoutReport>> finish();

 private:
  LayoutPlanner(WeightLayouts layouts, Options options);

  struct Weights {
    std::int32_t type = 0;  // ggml's
    std::string name;       // of the type
    std::optional<LayoutTarget> target;
    kernels::Shape shape;
    std::int32_t count = 0;
  };

  void measure_missing();
  void write_memory() const;
  bool faster(const Weights& kind) const;
  bool loses_little() const;

  WeightLayouts layouts_;
  Options options_;
  LayoutMemory memory_;
  std::vector<Weights> weights_;  // of the file, each kind once
  std::string model_;             // the file and its state
};

}  // namespace deepseek::engine::llama
