// What a model loses where weights are converted to a format with kernels.
//
// Used by the thread that loads models; loads the file twice, one after the other.
#pragma once

#include "engine/llama/layout_planner.hpp"
#include "engine/llama/model.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace deepseek::engine::llama {

// Millionths by which the perplexity of the sample text is larger with the planner's conversions
// than without; less than 0 where it is smaller; more than any setting allows where it cannot be
// measured, as with a model that foresees no text. Nothing if the model cannot be loaded or
// `progress`, which hears the fraction of each load, returned false.
std::optional<std::int64_t> measure_loss(const Model::Options& options, LayoutPlanner& planner,
                                         const std::function<bool(float)>& progress);

}  // namespace deepseek::engine::llama
