// The instruction sets for which there are kernels, and which of them this machine runs.
//
// Pure. Asked at run time: nothing of the machine that built the program is baked in.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace deepseek::kernels {

enum class InstructionSet { reference, avx2, avx512_vnni };

std::string_view name(InstructionSet set);
std::optional<InstructionSet> instruction_set(std::string_view name);

// Slowest first; `reference`, plain C++, is always there.
std::vector<InstructionSet> instruction_sets_of_this_machine();

}  // namespace deepseek::kernels
