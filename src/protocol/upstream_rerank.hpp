// A rerank request as a body of the form that Jina, Cohere and vLLM share, and the answer to it.
//
// Pure; linear in the size of both.
#pragma once

#include "base/result.hpp"
#include "protocol/request.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// A body for /rerank that asks for all documents. The first input is the question.
std::string upstream_rerank_body(const EmbeddingRequest& request, std::string_view model);

struct UpstreamScores {
  std::vector<double> scores;      // one per document, in their order
  std::int64_t prompt_tokens = 0;  // as told; 0 if it is missing or absurd
};

// upstream_failed for anything but one score for each document.
base::Result<UpstreamScores> parse_rerank_answer(std::string_view body, std::size_t documents);

}  // namespace deepseek::protocol
