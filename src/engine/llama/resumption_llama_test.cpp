// Answers of the real model that are cut and go on.
#include "engine/llama/sampler.hpp"
#include "engine/llama/test_support.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <random>

namespace deepseek::engine::llama {
namespace {

using Cut = Engine::Answer::Cut;

// What had been told when the engine had chosen so many tokens, with all of their ids.
Cut cut_at(const Engine::Answer& answer, std::size_t tokens) {
  Cut cut;
  for (const Cut& told : answer.cuts) {
    if (told.tokens.size() <= tokens) cut.text = told.text;
  }
  cut.tokens.assign(answer.tokens.begin(),
                    answer.tokens.begin() + static_cast<std::ptrdiff_t>(tokens));
  return cut;
}

wire::Submit resumed(wire::Submit submit, SequenceId id, const Cut& cut) {
  submit.set_request(id);
  submit.mutable_resume()->set_content(cut.text);
  submit.mutable_resume()->mutable_token_ids()->Assign(cut.tokens.begin(), cut.tokens.end());
  return submit;
}

// Cut at several places and resumed by ids, the answer is the undisturbed one, with `near_ties` but
// for places where two tokens are nearly as likely. At least `held` of the cuts leave tokens behind
// whose text had not come out.
void check_cuts(wire::Submit submit, const std::vector<std::size_t>& places, bool near_ties,
                int held = 0) {
  Engine engine;
  submit.set_logprobs(2);
  std::size_t equal = 0;
  ASSERT_TRUE(engine.submit(submit).has_value());
  const Engine::Answer whole = engine.wait(submit.request());
  ASSERT_TRUE(whole.finished);
  SequenceId id = submit.request();
  for (const std::size_t place : places) {
    ASSERT_LE(place, whole.tokens.size());
    SCOPED_TRACE("cut behind token " + std::to_string(place));
    const Cut cut = cut_at(whole, place);
    const auto told = [&](const Cut& one) { return one.tokens.size() == place; };
    if (std::none_of(whole.cuts.begin(), whole.cuts.end(), told)) --held;
    ASSERT_TRUE(engine.submit(resumed(submit, ++id, cut)).has_value());
    const Engine::Answer rest = engine.wait(id);
    ASSERT_TRUE(rest.finished);
    std::vector<Token> tokens = cut.tokens;
    tokens.insert(tokens.end(), rest.tokens.begin(), rest.tokens.end());
    bool differs = false;
    EXPECT_EQ(differs_at(whole, tokens, differs), std::nullopt);
    if (differs && near_ties) continue;
    EXPECT_EQ(cut.text + rest.text, whole.text);
    EXPECT_EQ(tokens, whole.tokens);
    EXPECT_EQ(rest.finished->reason(), whole.finished->reason());
    EXPECT_EQ(rest.finished->completion_tokens() + static_cast<std::int64_t>(place),
              whole.finished->completion_tokens());
    ++equal;
  }
  EXPECT_LE(held, 0);
  EXPECT_GE(2 * equal, places.size()) << "near ties everywhere: this compares too little";
}

TEST(Resumption, GreedyTextIsTheUndisturbedOne) {
  check_cuts(greedy(1, "Tell me about water.", 32), {1, 5, 13, 31, 32}, true);
}

TEST(Resumption, AlsoInsideACharacter) {
  wire::Submit submit = greedy(1, "", 24);
  submit.set_text("你好，世界。你好，世界。你好，世界。你好，");
  check_cuts(submit, {1, 2, 3, 4, 5, 6}, true, 1);
}

TEST(Resumption, PenaltiesAndSeedsGoOn) {
  wire::Submit submit = greedy(1, "Count from 1 to 100.", 24);
  submit.mutable_sampling()->set_frequency_penalty(0.7);
  check_cuts(submit, {3, 12}, false);
  submit.mutable_sampling()->set_temperature(1);
  submit.mutable_sampling()->set_seed(42);
  check_cuts(submit, {3, 12}, false);
}

TEST(Resumption, ByTextTheModelReadsItAsItsOwn) {
  Engine engine;
  const wire::Submit submit = greedy(1, "Tell me about water.", 32);
  ASSERT_TRUE(engine.submit(submit).has_value());
  const Engine::Answer whole = engine.wait(1);
  Cut cut = cut_at(whole, 16);
  cut.tokens.clear();
  ASSERT_TRUE(engine.submit(resumed(submit, 2, cut)).has_value());
  const Engine::Answer rest = engine.wait(2);
  ASSERT_TRUE(rest.finished);
  EXPECT_EQ(rest.text.substr(0, 12), whole.text.substr(cut.text.size(), 12));
  EXPECT_EQ(rest.finished->completion_tokens(), 16);
  EXPECT_EQ(rest.finished->prompt_tokens(), whole.finished->prompt_tokens() + 16);
  wire::Submit completion = greedy(3, "", 8);
  completion.set_text("One, two, three,");
  ASSERT_TRUE(engine.submit(resumed(completion, 3, {" four, five,", {}})).has_value());
  EXPECT_EQ(engine.wait(3).text.substr(0, 4), " six");
}

// One row of logits for each place; in every third there is nothing to choose.
std::vector<std::vector<float>> make_rows(std::size_t count) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> logit(-1, 1);
  std::vector<std::vector<float>> rows(count);
  for (std::size_t row = 0; row < count; ++row) {
    rows[row].resize(static_cast<std::size_t>(loaded().text->vocabulary()), -30);
    for (std::size_t token = 0; token < 50; ++token) rows[row][token] = logit(random);
    if (row % 3 == 0) rows[row][row] = 40;
  }
  return rows;
}

TEST(Resumption, ASamplerGoesOnAsIfItHadChosenAll) {
  const std::vector<std::vector<float>> rows = make_rows(24);
  wire::Sampling sampling;
  sampling.set_seed(5);
  sampling.set_frequency_penalty(0.5);
  sampling.set_presence_penalty(0.2);
  sampling.set_repetition_penalty(1.1);
  for (const double temperature : {0.0, 0.7, 1.3}) {
    sampling.set_temperature(temperature);
    const auto sampler = std::move(make_sampler(*loaded().model, sampling).value());
    std::vector<Token> chosen;
    for (const auto& row : rows) chosen.push_back(sampler->sample(row));
    for (std::size_t cut = 0; cut < rows.size(); ++cut) {
      const auto other = std::move(make_sampler(*loaded().model, sampling).value());
      other->replay(std::span(chosen).first(cut));
      for (std::size_t place = cut; place < rows.size(); ++place) {
        ASSERT_EQ(other->sample(rows[place]), chosen[place])
            << "cut at " << cut << ", token " << place << ", temperature " << temperature;
      }
    }
  }
}

}  // namespace
}  // namespace deepseek::engine::llama
