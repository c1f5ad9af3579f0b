// The functions inside ggml's CPU backend that a buffer type needs and that no header offers to be
// linked: the backend may be one of several variants, chosen and loaded at run time.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <vector>

struct ggml_backend_buffer_type;
struct ggml_threadpool;

namespace deepseek::engine::llama {

struct GgmlCpu {
  // The list that ggml asks for weights and operations.
  std::vector<ggml_backend_buffer_type*>* buffer_types = nullptr;
  // Every thread of a step waits here for the others.
  void (*barrier)(ggml_threadpool* pool) = nullptr;
  // A counter that the threads of a step share.
  void (*set_counter)(ggml_threadpool* pool, int value) = nullptr;
  int (*add_to_counter)(ggml_threadpool* pool, int value) = nullptr;
  // Rows of `count` numbers, with the instructions that the backend is built for.
  void (*half_to_float)(const std::uint16_t* from, float* to, std::int64_t count) = nullptr;
  void (*brain_to_float)(const std::uint16_t* from, float* to, std::int64_t count) = nullptr;
  void (*float_to_q8_0)(const float* from, void* to, std::int64_t count) = nullptr;
};

// Looks in the CPU backend that is loaded. Fails with `unavailable`: none, or one without them.
base::Result<GgmlCpu> find_ggml_cpu();

}  // namespace deepseek::engine::llama
