// From the bytes of a weight in a model file to the kernels' layout, on several threads.
#pragma once

#include "base/result.hpp"
#include "engine/llama/weight_layouts.hpp"
#include "kernels/pack.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace deepseek::engine::llama {

struct WeightsToPack {
  std::int32_t type = 0;  // ggml_type in the file
  LayoutTarget target;
  kernels::Shape shape;  // of one matrix
  std::int64_t matrices = 1;
  std::span<const std::byte> file;  // matrix behind matrix
  std::span<std::byte> packed;      // likewise
};

// Weights of another format are converted on the way, row by row by way of floats. Fails with
// `invalid_request` where a scale is infinite or no number: the file is damaged.
base::Result<void> pack_weights(const WeightsToPack& weights, int threads);

}  // namespace deepseek::engine::llama
