#include "gateway/fair_queue.hpp"

#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

namespace deepseek::gateway {
namespace {

// Pops everything and gives the tenants in that order.
std::string drain(FairQueue& queue, const std::map<FairQueue::Ticket, char>& names) {
  std::string order;
  while (const auto ticket = queue.pop()) order += names.at(*ticket);
  return order;
}

TEST(FairQueue, FirstComeFirstServedWithinATenant) {
  FairQueue queue(10);
  const auto first = queue.push("a", 1, 0);
  const auto second = queue.push("a", 1, 0);
  EXPECT_EQ(queue.pop(), first);
  EXPECT_EQ(queue.pop(), second);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(FairQueue, AFloodOfOneTenantHoldsUpNobody) {
  FairQueue queue(100);
  std::map<FairQueue::Ticket, char> names;
  for (int i = 0; i < 10; ++i) names[*queue.push("flood", 1, 0)] = 'f';
  names[*queue.push("quiet", 1, 0)] = 'q';
  EXPECT_EQ(drain(queue, names).find('q'), 1u);
}

TEST(FairQueue, WeightsAreShares) {
  FairQueue queue(1000);
  std::map<FairQueue::Ticket, char> names;
  for (int i = 0; i < 90; ++i) {
    names[*queue.push("heavy", 2, 0)] = 'h';
    names[*queue.push("light", 1, 0)] = 'l';
  }
  const std::string first = drain(queue, names).substr(0, 90);
  EXPECT_NEAR(static_cast<double>(std::count(first.begin(), first.end(), 'h')), 60, 1);
}

TEST(FairQueue, HigherPrioritiesGoFirst) {
  FairQueue queue(10);
  const auto low = queue.push("a", 1, 0);
  const auto high = queue.push("b", 1, 5);
  EXPECT_EQ(queue.pop(), high);
  EXPECT_EQ(queue.pop(), low);
}

TEST(FairQueue, IsBounded) {
  FairQueue queue(2);
  const auto first = queue.push("a", 1, 0);
  EXPECT_TRUE(queue.push("a", 1, 0));
  EXPECT_FALSE(queue.push("a", 1, 0));
  queue.remove(*first);
  queue.remove(*first);
  EXPECT_EQ(queue.depth(), 1u);
  EXPECT_TRUE(queue.push("a", 1, 0));
}

TEST(FairQueue, WhoWasPoppedInVainIsNextAgain) {
  FairQueue queue(10);
  const auto first = queue.push("a", 1, 0);
  queue.push("b", 1, 0);
  ASSERT_EQ(queue.pop(), first);
  queue.put_back(*first, "a", 0);
  EXPECT_EQ(queue.pop(), first);
}

TEST(FairQueue, ATenantThatComesBackHasNoCredit) {
  FairQueue queue(1000);
  std::map<FairQueue::Ticket, char> names;
  for (int i = 0; i < 50; ++i) names[*queue.push("a", 1, 0)] = 'a';
  for (int i = 0; i < 25; ++i) queue.pop();
  for (int i = 0; i < 25; ++i) names[*queue.push("b", 1, 0)] = 'b';
  const std::string order = drain(queue, names).substr(0, 20);
  EXPECT_NEAR(static_cast<double>(std::count(order.begin(), order.end(), 'b')), 10, 2);
}

}  // namespace
}  // namespace deepseek::gateway
