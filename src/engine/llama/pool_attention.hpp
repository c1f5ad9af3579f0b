// One attention over the KV pool within a step of llama.cpp: who of its threads computes what.
//
// Runs on all of ggml's threads at once. The first thread finds out which cells are looked at, once
// for all layers that have the same mask; runs of tokens and heads are handed out piece by piece.
// Where there are fewer pieces than threads need, as with one long sequence, a run's cells are
// parted too.
#pragma once

#include "engine/llama/ggml_cpu.hpp"
#include "kernels/attention.hpp"

#include <cstddef>

struct ggml_compute_params;
struct ggml_tensor;

namespace deepseek::engine::llama {

// Whether a FLASH_ATTN_EXT has the types and shapes that the kernels know.
bool can_attend(const ggml_tensor* operation);

// Bytes of the work buffer that the operation needs, in our hands or in ggml's.
std::size_t attention_work_bytes(const ggml_tensor* operation, int threads);

// False, on all threads, if the mask has more to say than which cells are open: nothing was
// computed, and ggml has to.
bool attend(const kernels::AttentionKernels& kernels, const GgmlCpu& cpu,
            const ggml_compute_params& params, ggml_tensor* operation);

}  // namespace deepseek::engine::llama
