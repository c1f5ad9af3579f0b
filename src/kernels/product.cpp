#include "kernels/product.hpp"

#include "kernels/instruction_kernels.hpp"

namespace deepseek::kernels {

std::size_t panel_bytes(int width, std::int64_t columns) {
  const auto blocks = static_cast<std::size_t>(columns / block_columns);
  constexpr std::size_t block_bytes = block_columns + sizeof(float) + 2 * sizeof(std::int32_t);
  return blocks * static_cast<std::size_t>(width) * block_bytes;
}

Panel panel_at(std::byte* memory, int width, std::int64_t columns) {
  Panel panel;
  panel.width = width;
  panel.blocks = columns / block_columns;
  const auto cells = static_cast<std::size_t>(panel.blocks * width);
  panel.quants = reinterpret_cast<std::int8_t*>(memory);
  panel.scales = reinterpret_cast<float*>(memory + cells * block_columns);
  panel.sums = panel.scales + cells;
  panel.offsets = reinterpret_cast<std::int32_t*>(panel.sums);
  return panel;
}

Kernels kernels(InstructionSet set, Format format) {
#ifdef __x86_64__
  if (set == InstructionSet::avx512_vnni) return avx512_kernels(format);
  if (set == InstructionSet::avx2) return avx2_kernels(format);
#endif
  static_cast<void>(set);
  return reference_kernels(format);
}

}  // namespace deepseek::kernels
