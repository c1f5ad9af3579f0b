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

// What becomes of a ggml_type in our hands.
struct LayoutTarget {
  kernels::Format format{};
  bool converted = false;  // to another format, with some loss: there are no kernels for its own
};
// Nothing where as they are is all that we can do.
std::optional<LayoutTarget> target_of(std::int32_t type);

class WeightLayouts {
 public:
  // Which weights, by ggml_type and shape, are to be ours; asked for each weight of a model while
  // it is loaded.
  using Plan = std::function<bool(std::int32_t, kernels::Shape)>;

  // Registers the buffer type; after load_backends() and before the first model. Fails with
  // `unavailable` if this ggml has no place for it.
  static base::Result<WeightLayouts> install(kernels::InstructionSet set);

  // For the models loaded from now on; an empty plan takes nothing. `threads` pack the weights.
  void use_plan(Plan plan, int threads = 1);

  // What has been packed since use_plan(), of weights that have this ggml_type in the file.
  std::uint64_t packed_bytes(std::int32_t type) const;
  // What was wrong with the first weight that could not be packed; empty if nothing was.
  std::string damage() const;

  kernels::InstructionSet instruction_set() const;
  ggml_backend_buffer_type* buffer_type() const;

 private:
  WeightLayouts() = default;
};

// The ggml_type of a format.
std::int32_t type_of(kernels::Format format);

}  // namespace deepseek::engine::llama
