#include "engine/draft_model_gain.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

using namespace std::chrono_literals;

DraftModelGain::Step step(std::int32_t sequences, double checked_ms) {
  return {sequences, 20, checked_ms, 100};
}

TEST(DraftModelGain, BeginsWithAFewAndMeasures) {
  DraftModelGain gain;
  EXPECT_EQ(gain.worth({1, 0, 0, 100}, 8), 4);
  EXPECT_EQ(gain.worth({1, 0, 0, 100}, 2), 2);
  EXPECT_EQ(gain.worth({1, 20, 1, 100}, 0), 0);
}

TEST(DraftModelGain, ACheapGoodDraftIsLong) {
  DraftModelGain gain;
  gain.drafted(4, 4ms);
  for (int count = 0; count < 100; ++count) gain.compared(4, 4);
  EXPECT_EQ(gain.worth(step(1, 1), 8), 8);
  EXPECT_EQ(gain.worth({1, 20, 1, 26}, 8), 3) << "the step may not be longer";
}

TEST(DraftModelGain, ABadOrDearDraftIsNotMadeButTriedAgain) {
  DraftModelGain bad;
  bad.drafted(1, 2ms);
  for (int count = 0; count < 100; ++count) bad.compared(1, 0);
  int tried = 0;
  for (int count = 0; count < 640; ++count) tried += bad.worth(step(1, 2), 8);
  EXPECT_EQ(tried, 10);

  DraftModelGain dear;
  dear.drafted(1, 25ms);
  EXPECT_EQ(dear.worth(step(1, 2), 8), 0) << "as slow as the model itself";
  // It gets better: then it is used again.
  for (int count = 0; count < 100; ++count) bad.compared(4, 4);
  EXPECT_GT(bad.worth(step(1, 1), 8), 1);
}

TEST(DraftModelGain, ManySequencesPayForEachCheck) {
  DraftModelGain gain;
  gain.drafted(1, 2ms);
  for (int count = 0; count < 100; ++count) gain.compared(4, count % 2 == 0 ? 4 : 1);
  EXPECT_GT(gain.worth(step(1, 1), 8), gain.worth(step(16, 1), 8));
}

}  // namespace
}  // namespace deepseek::engine
