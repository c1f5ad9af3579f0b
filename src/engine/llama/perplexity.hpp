// How well a model foresees a text.
//
// Any thread; makes a context of its own for the while.
#pragma once

#include "base/result.hpp"
#include "engine/kv_tree.hpp"
#include "engine/llama/model.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace deepseek::engine::llama {

// The negative natural logarithms of the probabilities of the tokens after the first. The text is
// read in stretches that know nothing of each other, each `stretch` tokens long, so that the cache
// is small. Fails with `unavailable` where there is no memory for it.
base::Result<std::vector<double>> surprises(const Model& model, std::span<const Token> tokens,
                                            std::int32_t stretch, std::int32_t threads);

// Some two thousand tokens of prose and code: so many that what chance does to the perplexity of a
// small model is less than half a percent.
std::string_view sample_text();

}  // namespace deepseek::engine::llama
