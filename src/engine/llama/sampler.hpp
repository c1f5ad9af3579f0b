// The samplers of one sequence, made from what the request asked for.
//
// What a request leaves open comes from the model file's own recommendation (general.sampling.*),
// else: temperature 1.0 and top_p 1.0 as OpenAI has them, with top_k 40 and min_p 0.05 as
// llama-server has them, because the tail of a small quantised model is noise; top_k 0 and min_p 0
// switch these off. Temperature 0, or top_k 1, is greedy: the largest logit, the first of equals.
// The same seed and request give the same tokens; floating point may differ a little with the
// company in a batch, so a near-tie can fall the other way.
#pragma once

#include "engine/llama/model.hpp"
#include "engine/model_interface.hpp"

namespace deepseek::engine::llama {

base::Result<std::unique_ptr<TokenSampler>> make_sampler(const Model& model,
                                                         const wire::Sampling& sampling);

}  // namespace deepseek::engine::llama
