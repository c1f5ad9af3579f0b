#include "engine/llama/perplexity.hpp"

#include "engine/llama/context.hpp"
#include "engine/logprobs.hpp"

#include <algorithm>

namespace deepseek::engine::llama {
namespace {

constexpr std::int32_t piece_tokens = 64;

base::Error unable(const std::string& why) {
  return base::make_error(base::ErrorCode::unavailable, "perplexity: the model " + why);
}

}  // namespace

base::Result<std::vector<double>> surprises(const Model& model, std::span<const Token> tokens,
                                            std::int32_t stretch, std::int32_t threads) {
  ContextOptions options;
  options.cells = stretch + piece_tokens;
  options.threads = options.threads_prefill = threads;
  const auto made = Context::make(model, options);
  if (made.has_error()) return made.error();
  Context& context = **made;
  std::vector<double> all;
  const auto size = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t index = 0; index + 1 < size;) {
    const std::int32_t position = index % stretch;
    if (position == 0) context.clear(0);
    const std::int32_t count = std::min({piece_tokens, size - 1 - index, stretch - position});
    const auto part =
        tokens.subspan(static_cast<std::size_t>(index), static_cast<std::size_t>(count));
    const BatchSlice slice{0, position, part, count};
    if (context.decode({&slice, 1}) != Decoder::Outcome::done) {
      return unable("could not read the text");
    }
    for (std::int32_t row = 0; row < count; ++row) {
      const auto logits = context.logits(0, static_cast<std::size_t>(row));
      if (logits.empty()) return unable("foresees no tokens");
      const Token next = tokens[static_cast<std::size_t>(index + row + 1)];
      all.push_back(-logprobs(logits, next, 0).chosen);
    }
    index += count;
  }
  return all;
}

}  // namespace deepseek::engine::llama
