// Weights in the layouts of src/kernels: one more buffer type beside llama.cpp's own for the CPU.
//
// llama.cpp offers each weight of a model that it loads to its extra buffer types, the first one
// first; ours takes what the plan names. From then on llama.cpp's threads come to our kernels for
// every product with such a weight. ggml keeps what is registered to the end of the process, so
// there is one WeightLayouts in it, which main() makes before the first model. The plan is changed
// between loads only; products run on any of llama.cpp's threads.
#pragma once

#include "base/result.hpp"
#include "kernels/instruction_set.hpp"
#include "kernels/pack.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

struct ggml_backend_buffer_type;

namespace deepseek::engine::llama {

class WeightLayouts {
 public:
  // Which weights are to be ours; asked once for each weight of a model while it is loaded.
  using Plan = std::function<bool(kernels::Format, kernels::Shape)>;

  // Registers the buffer type; after load_backends() and before the first model. Fails with
  // `unavailable` if this ggml has no place for it.
  static base::Result<WeightLayouts> install(kernels::InstructionSet set);

  // For the models loaded from now on; an empty plan takes nothing.
  void use_plan(Plan plan);

  // What has been packed since use_plan().
  std::uint64_t packed_bytes(kernels::Format format) const;
  // What was wrong with the first weight that could not be packed; empty if nothing was.
  std::string damage() const;

  kernels::InstructionSet instruction_set() const;
  ggml_backend_buffer_type* buffer_type() const;

 private:
  WeightLayouts() = default;
};

// The format for which there are kernels of a ggml_type; nothing for others. And back.
std::optional<kernels::Format> format_of(std::int32_t type);
std::int32_t type_of(kernels::Format format);

}  // namespace deepseek::engine::llama
