// An embedding request as a body of OpenAI's form, and the answer to it.
//
// Pure; linear in the size of both.
#pragma once

#include "base/result.hpp"
#include "protocol/event.hpp"
#include "protocol/request.hpp"

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// A body for /embeddings that asks for plain numbers.
std::string embedding_body(const EmbeddingRequest& request, std::string_view model);

struct UpstreamVectors {
  std::vector<std::vector<float>> vectors;  // one per input, in their order
  std::int64_t prompt_tokens = 0;           // as told; 0 if it is missing or absurd
};

// upstream_failed for anything but `inputs` vectors of one length.
base::Result<UpstreamVectors> parse_embedding_answer(std::string_view body, std::size_t inputs);

// `usage` of an answer that has no tokens of its own; 0 if it is missing or absurd.
std::int64_t read_prompt_tokens(const boost::json::object& answer);

}  // namespace deepseek::protocol
