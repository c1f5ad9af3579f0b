#include "kernels/attention.hpp"

#include "kernels/instruction_kernels.hpp"

#include <algorithm>

namespace deepseek::kernels {

std::size_t attention_scratch_bytes(int key_width, int value_width) {
  constexpr std::size_t cells = 64;  // of a tile
  constexpr auto rows = static_cast<std::size_t>(attention_rows_max);
  const auto key = static_cast<std::size_t>(key_width);
  const auto value = static_cast<std::size_t>(value_width);
  return sizeof(float) * (rows * (key + value + cells + 2) + cells * std::max(key, value));
}

AttentionKernels attention_kernels(InstructionSet set) {
#ifdef __x86_64__
  if (set == InstructionSet::avx512_vnni) return avx512_attention();
  if (set == InstructionSet::avx2) return avx2_attention();
#endif
  static_cast<void>(set);
  return reference_attention();
}

}  // namespace deepseek::kernels
