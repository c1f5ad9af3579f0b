#include "engine/kv_tree.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace deepseek::engine {
namespace {

using Tokens = std::vector<Token>;

TEST(KvTree, FindsTheLongestBeginning) {
  KvTree tree(4);
  tree.open(0, "k");
  tree.extend(0, Tokens{1, 2, 3, 4});
  tree.open(1, "k");
  tree.share(1, 0, 2);
  tree.extend(1, Tokens{9, 9, 9});
  EXPECT_EQ(tree.cells(), 7);
  const KvTree::Match match = tree.find("k", Tokens{1, 2, 9, 9, 7});
  EXPECT_EQ(match.slot, 1);
  EXPECT_EQ(match.length, 4);
  EXPECT_EQ(match.busy, 4);
  EXPECT_EQ(tree.find("k", Tokens{1, 2, 3}).length, 3);
  EXPECT_EQ(tree.find("k", Tokens{5}).slot, -1);
  EXPECT_EQ(tree.find("other", Tokens{1, 2}).length, 0);
}

TEST(KvTree, CountsWhatABusySlotHoldsAnyway) {
  KvTree tree(4);
  tree.open(0, "k");
  tree.extend(0, Tokens{1, 2, 3, 4, 5});
  tree.open(1, "k");
  tree.share(1, 0, 3);
  tree.set_busy(0, false);
  EXPECT_EQ(tree.cells_busy(), 3);
  EXPECT_EQ(tree.own(0), 2);
  const KvTree::Match match = tree.find("k", Tokens{1, 2, 3, 4, 5});
  EXPECT_EQ(match.length, 5);
  EXPECT_EQ(match.busy, 3);
}

TEST(KvTree, TrimsAndClosesWithoutTakingFromOthers) {
  KvTree tree(4);
  tree.open(0, "k");
  tree.extend(0, Tokens{1, 2, 3, 4});
  tree.open(1, "k");
  tree.share(1, 0, 4);
  tree.trim(0, 1);
  EXPECT_EQ(tree.cells(), 4);
  EXPECT_EQ(tree.length(0), 1);
  tree.close(1);
  EXPECT_EQ(tree.cells(), 1);
  EXPECT_FALSE(tree.is_open(1));
  tree.close(0);
  EXPECT_EQ(tree.cells(), 0);
  EXPECT_EQ(tree.cells_busy(), 0);
}

// Against rows of numbered cells, as they really are.
class Model {
 public:
  struct Row {
    std::vector<int> cells;
    Tokens tokens;
    bool busy = true;
  };
  std::map<std::int32_t, Row> rows;
  int numbers = 0;

  std::int32_t count(bool busy_only) const {
    std::set<int> all;
    for (const auto& [slot, row] : rows) {
      if (row.busy || !busy_only) all.insert(row.cells.begin(), row.cells.end());
    }
    return static_cast<std::int32_t>(all.size());
  }
  std::int32_t own(std::int32_t slot) const {
    std::int32_t own = 0;
    for (const int cell : rows.at(slot).cells) {
      own += std::all_of(rows.begin(), rows.end(), [&](const auto& other) {
        return other.first == slot ||
               std::count(other.second.cells.begin(), other.second.cells.end(), cell) == 0;
      });
    }
    return own;
  }
  std::int32_t longest(const Tokens& wanted) const {
    std::size_t most = 0;
    for (const auto& [slot, row] : rows) {
      const auto both = std::min(wanted.size(), row.tokens.size());
      std::size_t common = 0;
      while (common < both && wanted[common] == row.tokens[common]) ++common;
      most = std::max(most, common);
    }
    return static_cast<std::int32_t>(most);
  }
};

TEST(KvTree, AgreesWithRowsOfCellsInRandomUse) {
  constexpr std::int32_t kSlots = 6;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::int32_t low, std::int32_t high) {
      return std::uniform_int_distribution<std::int32_t>(low, high)(random);
    };
    KvTree tree(kSlots);
    Model model;
    for (int event = 0; event < 200; ++event) {
      const std::int32_t slot = pick(0, kSlots - 1);
      const auto row = model.rows.find(slot);
      if (row == model.rows.end()) {
        Tokens wanted(static_cast<std::size_t>(pick(1, 12)));
        for (Token& token : wanted) token = pick(0, 1);
        const KvTree::Match match = tree.find("k", wanted);
        ASSERT_EQ(match.length, model.longest(wanted)) << "seed " << seed;
        tree.open(slot, "k");
        Model::Row made;
        if (match.length > 0) {
          tree.share(slot, match.slot, match.length);
          const Model::Row& source = model.rows.at(match.slot);
          ASSERT_TRUE(
              std::equal(wanted.begin(), wanted.begin() + match.length, source.tokens.begin()));
          made.cells.assign(source.cells.begin(), source.cells.begin() + match.length);
          made.tokens.assign(wanted.begin(), wanted.begin() + match.length);
        }
        model.rows[slot] = std::move(made);
      } else if (pick(0, 9) < 5) {
        Tokens more(static_cast<std::size_t>(pick(1, 4)));
        for (Token& token : more) token = pick(0, 1);
        tree.extend(slot, more);
        for (const Token token : more) {
          row->second.tokens.push_back(token);
          row->second.cells.push_back(++model.numbers);
        }
      } else if (pick(0, 9) < 4) {
        const auto length = pick(0, static_cast<std::int32_t>(row->second.tokens.size()));
        tree.trim(slot, length);
        row->second.tokens.resize(static_cast<std::size_t>(length));
        row->second.cells.resize(static_cast<std::size_t>(length));
      } else if (pick(0, 9) < 5) {
        row->second.busy = !row->second.busy;
        tree.set_busy(slot, row->second.busy);
      } else {
        tree.close(slot);
        model.rows.erase(row);
      }
      ASSERT_EQ(tree.cells(), model.count(false)) << "seed " << seed << " event " << event;
      ASSERT_EQ(tree.cells_busy(), model.count(true)) << "seed " << seed << " event " << event;
      for (const auto& [open, held] : model.rows) {
        ASSERT_EQ(tree.length(open), static_cast<std::int32_t>(held.tokens.size()));
        ASSERT_EQ(tree.own(open), model.own(open)) << "seed " << seed << " event " << event;
      }
    }
  }
}

}  // namespace
}  // namespace deepseek::engine
