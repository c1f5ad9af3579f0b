// Measures one product both ways: with a layout of ours and as llama.cpp would compute it.
//
// For the thread that loads models; it takes all threads of the step for some milliseconds.
#pragma once

#include "engine/layout_choice.hpp"
#include "engine/llama/ggml_owners.hpp"
#include "engine/llama/weight_layouts.hpp"

#include <cstdint>

namespace deepseek::engine::llama {

class LayoutProbe {
 public:
  // `threads` as decode and prefill will have.
  LayoutProbe(const WeightLayouts& layouts, std::int32_t threads);
  ~LayoutProbe();
  LayoutProbe(const LayoutProbe&) = delete;
  LayoutProbe& operator=(const LayoutProbe&) = delete;

  // Weights of this ggml_type. Nothing is told of shapes so large that this machine has no memory
  // for a part of them.
  MeasuredLayout measure(std::int32_t type, kernels::Shape shape) const;

 private:
  const WeightLayouts& layouts_;
  BackendPointer backend_;
};

}  // namespace deepseek::engine::llama
