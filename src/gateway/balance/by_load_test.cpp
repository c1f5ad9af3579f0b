#include "gateway/balance/fleet.hpp"
#include "gateway/balance/strategies.hpp"

#include <gtest/gtest.h>
#include <algorithm>

namespace deepseek::gateway {
namespace {

TEST(LeastInFlight, CountsByWeight) {
  const auto strategy = make_least_in_flight();
  Fleet fleet({1, 4});
  fleet.replicas[0].in_flight = 1;
  fleet.replicas[1].in_flight = 3;
  EXPECT_EQ(fleet.choose(*strategy), 1);
  fleet.replicas[1].in_flight = 5;
  EXPECT_EQ(fleet.choose(*strategy), 0);
}

TEST(LeastInFlight, TiesAreSharedByWeight) {
  Fleet fleet({1, 1, 2});
  const auto counts = fleet.counts(*make_least_in_flight(), 8'000);
  EXPECT_NEAR(counts[0], 2'000, 200);
  EXPECT_NEAR(counts[1], 2'000, 200);
  EXPECT_NEAR(counts[2], 4'000, 200);
}

// The longest queue of 20 replicas with 10 requests each on average, which end at random.
double mean_longest(Strategy& strategy) {
  Fleet fleet(20);
  std::vector<std::size_t> running;
  double sum = 0;
  constexpr int turns = 20'000;
  for (int i = 0; i < turns; ++i) {
    if (running.size() == 200) {
      const std::size_t ends = fleet.random.below(running.size());
      --fleet.replicas[running[ends]].in_flight;
      running[ends] = running.back();
      running.pop_back();
    }
    const auto chosen = static_cast<std::size_t>(fleet.choose(strategy));
    ++fleet.replicas[chosen].in_flight;
    running.push_back(chosen);
    std::uint32_t longest = 0;
    for (const ReplicaView& replica : fleet.replicas) {
      longest = std::max(longest, replica.in_flight);
    }
    sum += longest;
  }
  return sum / turns;
}

class AnyOne final : public Strategy {
 public:
  Choice choose(const ChoiceInput& input) override {
    return {static_cast<int>(input.random % input.replicas.size()), "at random"};
  }
};

TEST(PowerOfTwo, IsCloseToTheLeastInFlight) {
  AnyOne any_one;
  const double random = mean_longest(any_one);
  const double two = mean_longest(*make_power_of_two());
  const double least = mean_longest(*make_least_in_flight());
  EXPECT_LT(two, least + 3);
  EXPECT_GT(random, least + 5) << "the load is uneven enough to tell them apart";
}

TEST(PowerOfTwo, NeverTheMoreLoadedOfTwo) {
  const auto strategy = make_power_of_two();
  Fleet fleet({1, 1});
  fleet.replicas[0].in_flight = 5;
  fleet.replicas[1].in_flight = 6;
  EXPECT_EQ(fleet.counts(*strategy, 1'000), (std::vector<int>{1'000, 0}));
}

TEST(PowerOfTwo, IdleReplicasShareByWeight) {
  Fleet fleet({6, 1, 1});
  EXPECT_NEAR(fleet.counts(*make_power_of_two(), 8'000)[0], 6'000, 250);
}

TEST(LeastWork, CountsTimeNotTokens) {
  const auto strategy = make_least_work();
  Fleet fleet(2);
  fleet.replicas[0] = {.work_tokens = 1'000, .tokens_per_second = 100};
  fleet.replicas[1] = {.work_tokens = 4'000, .tokens_per_second = 1'000};
  EXPECT_EQ(fleet.choose(*strategy), 1);
  fleet.replicas[1].work_tokens = 20'000;
  EXPECT_EQ(fleet.choose(*strategy), 0);
}

TEST(LeastWork, TheRequestItselfIsWork) {
  const auto strategy = make_least_work();
  Fleet fleet(2);
  fleet.replicas[0] = {.work_tokens = 0, .tokens_per_second = 10};
  fleet.replicas[1] = {.work_tokens = 500, .tokens_per_second = 1'000};
  ChoiceInput input = fleet.input();
  input.request_tokens = 1;
  EXPECT_EQ(strategy->choose(input).index, 0);
  input.request_tokens = 10'000;
  EXPECT_EQ(strategy->choose(input).index, 1);
}

TEST(LeastWork, UnknownSpeedsAreTakenForAverageByWeight) {
  const auto strategy = make_least_work();
  Fleet fleet(2);
  fleet.replicas[0] = {.weight = 1, .work_tokens = 300, .tokens_per_second = 100};
  fleet.replicas[1] = {.weight = 2, .work_tokens = 500};
  EXPECT_EQ(fleet.choose(*strategy), 1) << "200 a second, it is supposed";
  fleet.replicas[0].tokens_per_second = 0;
  EXPECT_EQ(fleet.choose(*strategy), 1);
  fleet.replicas[1].work_tokens = 700;
  EXPECT_EQ(fleet.choose(*strategy), 0);
}

}  // namespace
}  // namespace deepseek::gateway
