// Answers of the real model beyond the cells that it may have.
#include "engine/llama/test_support.hpp"

#include <gtest/gtest.h>
#include <set>

namespace deepseek::engine::llama {
namespace {

Engine::Answer answer(const AttentionWindow& window, std::int32_t tokens) {
  Engine engine(1024, 100'000, nullptr, 0, nullptr, window);
  wire::Submit submit = greedy(1, "Tell me a long story about a river and a stone.", tokens);
  submit.mutable_sampling()->set_ignore_eos(true);
  submit.mutable_sampling()->set_frequency_penalty(0.3);
  submit.set_logprobs(2);
  EXPECT_TRUE(engine.submit(submit).has_value());
  return engine.wait(1);
}

TEST(WindowLlama, AnAnswerGoesOnBehindItsWindowAndStaysText) {
  AttentionWindow window;
  window.tokens = 160;
  const Engine::Answer whole = answer({}, 220);
  const Engine::Answer windowed = answer(window, 600);
  ASSERT_TRUE(windowed.finished);
  EXPECT_EQ(windowed.finished->completion_tokens(), 600);
  // Until the first tokens are dropped nothing differs.
  const auto before =
      static_cast<std::ptrdiff_t>(window.cells_max() - whole.finished->prompt_tokens());
  const std::vector<Token> begun(windowed.tokens.begin(), windowed.tokens.begin() + before);
  Engine::Answer first = whole;
  first.tokens.resize(static_cast<std::size_t>(before));
  bool differs = false;
  EXPECT_EQ(differs_at(first, begun, differs), std::nullopt);
  // A cache whose positions were wrong makes one token again and again, or noise: text does not.
  const std::set<Token> last(windowed.tokens.end() - 200, windowed.tokens.end());
  EXPECT_GT(last.size(), 30U);
  double sum = 0;
  for (std::size_t place = 400; place < 600; ++place) sum += windowed.logprobs[place].logprob();
  EXPECT_GT(sum / 200, -2.5) << "the model is surprised by its own words";
}

}  // namespace
}  // namespace deepseek::engine::llama
