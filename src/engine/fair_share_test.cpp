#include "engine/fair_share.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

TEST(FairShare, ChargesByWeight) {
  FairShare shares;
  shares.enter("a", "x", 4);
  shares.charge("a", "x", 100);
  EXPECT_EQ(shares.of_tenant("a"), 25);
  EXPECT_EQ(shares.of_user("a", "x"), 100);
}

TEST(FairShare, NobodySavesUpWhileAway) {
  FairShare shares;
  shares.enter("a", "", 1);
  shares.charge("a", "", 500);
  shares.enter("b", "", 1);
  EXPECT_EQ(shares.of_tenant("b"), 500);
  shares.charge("a", "", 100);
  shares.leave("a", "");
  shares.charge("b", "", 300);
  shares.enter("a", "", 1);
  EXPECT_EQ(shares.of_tenant("a"), 800);
}

TEST(FairShare, WhoIsAheadStaysAheadOverAPause) {
  FairShare shares;
  shares.enter("a", "", 1);
  shares.enter("b", "", 1);
  shares.charge("a", "", 500);
  shares.leave("a", "");
  shares.enter("a", "", 1);
  EXPECT_EQ(shares.of_tenant("a"), 500);
  EXPECT_EQ(shares.of_tenant("b"), 0);
}

TEST(FairShare, WhenAllHaveGoneTheNextBeginsWhereTheLastEnded) {
  FairShare shares;
  shares.enter("a", "", 1);
  shares.charge("a", "", 500);
  shares.leave("a", "");
  shares.enter("b", "", 1);
  shares.enter("a", "", 1);
  EXPECT_EQ(shares.of_tenant("a"), shares.of_tenant("b"));
}

TEST(FairShare, RemembersOnlySoManyWhoAreAway) {
  VirtualCounters counters;
  counters.enter("here", 1);
  for (int index = 0; index < 5000; ++index) {
    const std::string name = std::to_string(index);
    counters.enter(name, 1);
    counters.charge(name, 10);
    counters.leave(name);
  }
  EXPECT_LE(counters.size(), 1025U);
}

}  // namespace
}  // namespace deepseek::engine
