// What a text surprises the model with when it sees all that came before, and when it sees a
// window.
//
// Usage: window_perplexity MODEL TEXT TOKENS SHARE. Reads TOKENS of the text's tokens twice: with
// all of them in the cache, and in SHARE (0 to 1) of those cells, the first four and the last ones.
// Prints a line of JSON.
#include "engine/attention_window.hpp"
#include "engine/llama/context.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/llama/text.hpp"
#include "engine/logprobs.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace {

using namespace deepseek;
using namespace deepseek::engine;

constexpr std::int32_t kPiece = 32;

// The mean of the tokens' negative log-probabilities, from `skipped` on.
double surprise(llama::Context& context, std::span<const Token> tokens, std::int32_t skipped,
                const AttentionWindow& window) {
  double sum = 0;
  std::int32_t position = 0;
  const auto size = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t index = 0; index + 1 < size;) {
    std::int32_t count = std::min(kPiece, size - 1 - index);
    if (window.on()) {
      if (position == window.cells_max()) {
        context.slide(0, window.sinks, window.dropped());
        position -= window.dropped();
      }
      count = std::min(count, window.cells_max() - position);
    }
    const auto piece =
        tokens.subspan(static_cast<std::size_t>(index), static_cast<std::size_t>(count));
    const BatchSlice slice{0, position, piece, static_cast<std::int32_t>(piece.size())};
    if (context.decode({&slice, 1}) != Decoder::Outcome::done) std::exit(1);
    for (std::int32_t row = 0; row < count; ++row) {
      if (index + row < skipped) continue;
      const Token next = tokens[static_cast<std::size_t>(index + row + 1)];
      sum -= logprobs(context.logits(0, static_cast<std::size_t>(row)), next, 0).chosen;
    }
    index += count;
    position += count;
  }
  return sum / (size - 1 - skipped);
}

std::unique_ptr<llama::Context> make_context(const llama::Model& model, std::int32_t cells) {
  llama::ContextOptions options;
  options.cells = cells;
  options.threads = options.threads_prefill = 2;
  return llama::Context::make(model, options).value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: window_perplexity MODEL TEXT TOKENS SHARE\n");
    return 2;
  }
  llama::bridge_log(base::Logger());
  llama::load_backends();
  const auto model = llama::Model::load({argv[1], 0}, {}).value();
  const auto text = llama::Text::make(*model).value();
  std::stringstream words;
  words << std::ifstream(argv[2]).rdbuf();
  std::vector<Token> tokens = text->tokenize(words.str(), true).value();
  tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(std::atoi(argv[3]))));
  const auto size = static_cast<std::int32_t>(tokens.size());
  const auto cells = static_cast<std::int32_t>(size * std::atof(argv[4]));
  AttentionWindow window;
  window.tokens = cells;
  while (window.cells_max() > cells) --window.tokens;
  // What both see in the same way is left out.
  const double whole = surprise(*make_context(*model, size), tokens, window.cells_max(), {});
  const double windowed =
      surprise(*make_context(*model, window.cells_max()), tokens, window.cells_max(), window);
  std::printf(
      "{\"tokens\": %d, \"window\": %d, \"cells\": %d, \"saved\": %.4f, \"perplexity\": %.4f, "
      "\"windowed\": %.4f}\n",
      size, window.tokens, window.cells_max(), 1 - static_cast<double>(window.cells_max()) / size,
      std::exp(whole), std::exp(windowed));
  return 0;
}
