#include "kernels/instruction_set.hpp"

#include <array>

namespace deepseek::kernels {

namespace {

constexpr std::array all = {InstructionSet::reference, InstructionSet::avx2,
                            InstructionSet::avx512_vnni};

bool runs(InstructionSet set) {
#ifdef __x86_64__
  switch (set) {
    case InstructionSet::reference:
      return true;
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case InstructionSet::avx512_vnni:
      return runs(InstructionSet::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return set == InstructionSet::reference;
#endif
}

}  // namespace

std::string_view name(InstructionSet set) {
  switch (set) {
    case InstructionSet::reference:
      return "reference";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::avx512_vnni:
      return "avx512_vnni";
  }
  return "";
}

std::optional<InstructionSet> instruction_set(std::string_view name) {
  for (const auto set : all) {
    if (kernels::name(set) == name) return set;
  }
  return std::nullopt;
}

std::vector<InstructionSet> instruction_sets_of_this_machine() {
  std::vector<InstructionSet> sets;
  for (const auto set : all) {
    if (runs(set)) sets.push_back(set);
  }
  return sets;
}

}  // namespace deepseek::kernels
