#include "frontend/ranking.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::frontend {
namespace {

using protocol::RankedDocument;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Ranking, TheCosineWhateverTheLengthsAre) {
  const std::vector<std::vector<float>> vectors{{2, 0}, {5, 0}, {0, 1}, {-1, 0}, {1, 1}, {0, 0}};
  EXPECT_THAT(similarities(vectors),
              ElementsAre(DoubleNear(1, 1e-9), DoubleNear(0, 1e-9), DoubleNear(-1, 1e-9),
                          DoubleNear(0.70710678, 1e-6), 0));
  EXPECT_THAT(similarities({}), IsEmpty());
}

TEST(Ranking, TheBestFirstAndEqualOnesInTheirOrder) {
  const std::vector<double> scores{0.1, 0.9, 0.5, 0.9};
  EXPECT_THAT(best_first(scores, 3),
              ElementsAre(RankedDocument{1, 0.9}, RankedDocument{3, 0.9}, RankedDocument{2, 0.5}));
  EXPECT_THAT(best_first(scores, 100), testing::SizeIs(4));
}

}  // namespace
}  // namespace deepseek::frontend
