#include "gateway/balance/fleet.hpp"
#include "gateway/balance/strategies.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

TEST(Cheapest, TakesTheLowestPriceThenTheLeastLoad) {
  const auto strategy = make_cheapest();
  Fleet fleet(3);
  fleet.replicas[0].price = 0.3;
  fleet.replicas[1].price = 0.1 + 0.1;  // differs from the next by rounding alone, if at all
  fleet.replicas[2].price = 0.6 / 3;
  fleet.replicas[2].in_flight = 4;
  EXPECT_EQ(fleet.counts(*strategy, 100), (std::vector<int>{0, 100, 0}));
  fleet.replicas[1].in_flight = 5;
  EXPECT_EQ(fleet.counts(*strategy, 100), (std::vector<int>{0, 0, 100}));
  fleet.replicas[0].price = 0;
  EXPECT_EQ(fleet.choose(*strategy), 0) << "free of charge";
}

struct FastestTest : testing::Test {
  std::unique_ptr<Strategy> strategy = make_fastest();
  Fleet fleet{3};

  void times(double a, double b, double c) {
    fleet.replicas[0].first_token_ms = a;
    fleet.replicas[1].first_token_ms = b;
    fleet.replicas[2].first_token_ms = c;
  }
};

TEST_F(FastestTest, MostlyTheFastestAndTheOthersNowAndThen) {
  times(200, 1'000, 3'000);
  const auto counts = fleet.counts(*strategy, 32'000);
  EXPECT_NEAR(counts[0], 31'333, 150);
  EXPECT_NEAR(counts[1], 333, 120);
  EXPECT_NEAR(counts[2], 333, 120);
}

TEST_F(FastestTest, NearlyAsFastSharesTheLoad) {
  times(200, 230, 3'000);
  fleet.replicas[0].in_flight = 3;
  fleet.replicas[1].in_flight = 2;
  const auto counts = fleet.counts(*strategy, 1'000);
  EXPECT_GT(counts[1], 950);
}

TEST_F(FastestTest, OneWithoutFiguresGetsOneRequestAtATime) {
  times(200, 0, 3'000);
  EXPECT_EQ(fleet.choose(*strategy), 1);
  fleet.replicas[1].in_flight = 1;
  EXPECT_GT(fleet.counts(*strategy, 1'000)[0], 950);
}

TEST_F(FastestTest, WithoutAnyFiguresTheLoadDecides) {
  for (ReplicaView& replica : fleet.replicas) replica.in_flight = 5;
  fleet.replicas[2].in_flight = 4;
  EXPECT_GT(fleet.counts(*strategy, 1'000)[2], 950);
}

// A slow start is not for ever: the moving average recovers through the occasional request.
TEST_F(FastestTest, ASlowStartIsForgotten) {
  times(300, 5'000, 300);
  std::vector<int> late(3);
  for (int i = 0; i < 7'000; ++i) {
    const auto chosen = static_cast<std::size_t>(fleet.choose(*strategy));
    ReplicaView& replica = fleet.replicas[chosen];
    const double truth = chosen == 1 ? 250 : 300;
    replica.first_token_ms += (truth - replica.first_token_ms) / 8;
    if (i >= 6'000) ++late[chosen];
  }
  EXPECT_GT(late[1], 250);
}

}  // namespace
}  // namespace deepseek::gateway
