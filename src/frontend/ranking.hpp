// Which documents answer a question best.
//
// Pure.
#pragma once

#include "protocol/encode.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace deepseek::frontend {

// The cosine of the first vector, the question's, and each of the others: -1 to 1. All have the
// same length; one without a direction is like nothing (0).
std::vector<double> similarities(std::span<const std::vector<float>> vectors);

// At most `most`, the highest score first; equal ones in the order of the request.
std::vector<protocol::RankedDocument> best_first(std::span<const double> scores, std::size_t most);

}  // namespace deepseek::frontend
