#include "engine/cell_map.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

TEST(CellMap, NewPositionsTakeTheLowestFreeCells) {
  CellMap map(100, 4);
  map.take(0, 10);
  map.take(1, 10);
  EXPECT_EQ(map.used(), 20);
  EXPECT_EQ(map.span(), 20);
  map.keep(0, 0);
  EXPECT_EQ(map.used(), 10);
  EXPECT_EQ(map.span(), 20) << "the second has cells behind the hole";
  map.take(2, 15);
  EXPECT_EQ(map.used(), 25);
  EXPECT_EQ(map.span(), 25) << "the hole was filled first";
  map.keep(2, 8);
  EXPECT_EQ(map.span(), 20);
  map.keep(1, 0);
  EXPECT_EQ(map.used(), 8);
  EXPECT_EQ(map.span(), 8);
}

TEST(CellMap, SharedCellsCountOnceAndStayForWhoHasThem) {
  CellMap map(100, 4);
  map.take(0, 10);
  map.share(1, 0, 6);
  map.take(1, 2);
  EXPECT_EQ(map.used(), 12);
  EXPECT_EQ(map.length(1), 8);
  map.keep(0, 0);
  EXPECT_EQ(map.used(), 8);
  EXPECT_EQ(map.span(), 12);
  map.share(2, 1, 8);
  map.keep(1, 0);
  EXPECT_EQ(map.used(), 8) << "the third has all of them";
  map.keep(2, 6);
  EXPECT_EQ(map.used(), 6);
  EXPECT_EQ(map.span(), 6);
}

TEST(CellMap, ASlotThatSlidesGivesBackTheCellsInItsMiddle) {
  CellMap map(100, 2);
  map.take(0, 20);
  map.slide(0, 4, 10);
  EXPECT_EQ(map.length(0), 10);
  EXPECT_EQ(map.used(), 10);
  EXPECT_EQ(map.span(), 20);
  EXPECT_FALSE(map.shares(0));
  map.take(0, 10);
  EXPECT_EQ(map.span(), 20) << "the middle was filled";
  map.share(1, 0, 4);
  EXPECT_TRUE(map.shares(0));
  map.keep(0, 4);
  EXPECT_EQ(map.used(), 4);
}

TEST(CellMap, AllOfThePoolCanBeTaken) {
  CellMap map(64, 2);
  map.take(0, 64);
  map.keep(0, 63);
  map.take(1, 1);
  EXPECT_EQ(map.used(), 64);
  EXPECT_EQ(map.span(), 64);
  map.keep(0, 100);
  EXPECT_EQ(map.length(0), 63) << "nothing is made longer";
}

}  // namespace
}  // namespace deepseek::engine
