// One product of packed weights within a step of llama.cpp: who of its threads computes what.
//
// Runs on all of ggml's threads at once, each with its own number; they share the work buffer.
// Activations are quantized once, by all threads together where there are many, by each for itself
// where there are so few that waiting for the others would cost more.
#pragma once

#include "engine/llama/ggml_cpu.hpp"
#include "kernels/pack.hpp"
#include "kernels/product.hpp"

#include <cstddef>
#include <cstdint>

struct ggml_compute_params;
struct ggml_tensor;

namespace deepseek::engine::llama {

// The weights of a MUL_MAT, or of one expert of a MUL_MAT_ID.
kernels::Shape shape_of(const ggml_tensor* weights);

// Whether the kernels compute this operation: its weights have a shape that can be packed, its
// activations are 32-bit floats in rows of their own.
bool can_multiply(kernels::Format format, const ggml_tensor* operation);

// Bytes of the work buffer that the operation needs.
std::size_t work_bytes(const ggml_tensor* operation, int threads);

void multiply(const kernels::Kernels& kernels, kernels::Format format, const GgmlCpu& cpu,
              const ggml_compute_params& params, ggml_tensor* operation);

}  // namespace deepseek::engine::llama
