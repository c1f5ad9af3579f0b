// Decides for each model file which of its weights get a layout of ours, and tells what came of it.
//
// Owned by main(), used by the thread that loads models: prepare() before a load, finish() after
// it. Measures what it has not measured on this machine before.
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
    // For tests: these kernels for every weight that they can multiply, faster or not.
    std::optional<kernels::InstructionSet> forced{};
  };

  // Fails with `unavailable` where this machine or this ggml has no place for layouts of ours.
  static base::Result<std::unique_ptr<LayoutPlanner>> make(Options options);

  // For the next load of this file. What cannot be read is left to the load to complain of.
  void prepare(const std::string& model_file);

  // After it: formats with their layouts. Fails with `invalid_request` if a weight was damaged.
  base::Result<std::vector<LayoutReport>> finish();

 private:
  LayoutPlanner(WeightLayouts layouts, Options options);
  void measure_missing();

  struct Weights {
    std::string type;                       // ggml's name of it
    std::optional<kernels::Format> format;  // if there are kernels for it
    kernels::Shape shape;
    std::int32_t count = 0;
  };

  WeightLayouts layouts_;
  Options options_;
  LayoutMemory memory_;
  std::vector<Weights> weights_;  // of the file, each kind once
};

}  // namespace deepseek::engine::llama
