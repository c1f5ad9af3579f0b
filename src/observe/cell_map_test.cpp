#include "observe/cell_map.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::observe {
namespace {

TEST(CellMap, MakesEachNameOnce) {
  CellMap<int> map;
  int made = 0;
  const auto make = [&made](const auto&) { return ++made; };
  EXPECT_EQ(map.find({"a", 200}, make), 1);
  EXPECT_EQ(map.find({"a", 500}, make), 2);
  EXPECT_EQ(map.find({"b", 200}, make), 3);
  EXPECT_EQ(map.find({"a", 200}, make), 1);
  EXPECT_EQ(map.find({std::string("a"), 500}, make), 2);
  EXPECT_EQ(made, 3);
}

TEST(CellMap, KeepsABoundedNumberOfNames) {
  CellMap<int> map;
  int made = 0;
  const auto make = [&made](const auto&) { return ++made; };
  constexpr int names = 5000;
  for (int i = 0; i < names; ++i) map.find({"name", i}, make);
  EXPECT_EQ(made, names);
  map.find({"name", 0}, make);
  EXPECT_EQ(made, names) << "the first ones are kept";
  map.find({"name", names - 1}, make);
  EXPECT_EQ(made, names + 1) << "those beyond the bound are looked up each time";
}

}  // namespace
}  // namespace deepseek::observe
