// The kernels of each instruction set; product.cpp and attention.cpp choose among them.
#pragma once

#include "kernels/attention.hpp"
#include "kernels/product.hpp"

namespace deepseek::kernels {

Kernels reference_kernels(Format format);
Kernels avx2_kernels(Format format);
Kernels avx512_kernels(Format format);

AttentionKernels reference_attention();
AttentionKernels avx2_attention();
AttentionKernels avx512_attention();

}  // namespace deepseek::kernels
