// The kernels of each instruction set; only product.cpp chooses among them.
#pragma once

#include "kernels/product.hpp"

namespace deepseek::kernels {

Kernels reference_kernels(Format format);
Kernels avx2_kernels(Format format);
Kernels avx512_kernels(Format format);

}  // namespace deepseek::kernels
