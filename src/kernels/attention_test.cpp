// Attention of every instruction set that this machine runs against sums in double precision, and
// the runs of tokens that it works on.
#include "kernels/attention.hpp"
#include "kernels/attention_plan.hpp"
#include "kernels/half.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace deepseek::kernels {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr int pool_cells = 900;

// A head's keys or values in the pool's form, and what they stand for.
struct Pool {
  Pool(CellType cell_type, int numbers, std::mt19937& random) : type(cell_type), width(numbers) {
    const auto wide = static_cast<std::size_t>(width);
    const std::size_t row = type == CellType::single ? 4 * wide
                            : type == CellType::half ? 2 * wide
                                                     : wide / 32 * 34;
    stride = row + 64;  // another head's
    bytes.resize(stride * pool_cells);
    for (int cell = 0; cell < pool_cells; ++cell) {
      for (int at = 0; at < width; ++at) {
        set(cell, at, static_cast<float>(random() % 2001) / 1000.0F - 1.0F);
      }
    }
  }

  std::byte* place(int cell) { return bytes.data() + static_cast<std::size_t>(cell) * stride; }

  void set(int cell, int at, float value) {
    if (type == CellType::single) {
      std::memcpy(place(cell) + at * 4, &value, 4);
    } else if (type == CellType::half) {
      const std::uint16_t half = float_to_half(value);
      std::memcpy(place(cell) + at * 2, &half, 2);
    } else {
      const std::uint16_t scale = float_to_half(1.0F / 127);
      std::byte* block = place(cell) + at / 32 * 34;
      std::memcpy(block, &scale, 2);
      block[2 + at % 32] =
          static_cast<std::byte>(static_cast<std::int8_t>(std::lround(value * 127)));
    }
  }

  double value(int cell, int at) {
    if (type == CellType::single) {
      float value = 0;
      std::memcpy(&value, place(cell) + at * 4, 4);
      return value;
    }
    std::uint16_t half = 0;
    if (type == CellType::half) {
      std::memcpy(&half, place(cell) + at * 2, 2);
      return half_to_float(half);
    }
    const std::byte* block = place(cell) + at / 32 * 34;
    std::memcpy(&half, block, 2);
    return static_cast<double>(half_to_float(half)) * static_cast<std::int8_t>(block[2 + at % 32]);
  }

  CellRows rows() const { return {bytes.data(), stride, type, width}; }

  CellType type;
  int width;
  std::size_t stride = 0;
  std::vector<std::byte> bytes;
};

// A block with everything that it points to.
struct Case {
  Case(CellType type, int key_width, int value_width, int tokens, int heads, int cell_count,
       std::mt19937& random)
      : keys(type, key_width, random), values(type, value_width, random) {
    block.scale = 2 / std::sqrt(static_cast<float>(key_width));
    block.tokens = tokens;
    block.heads = heads;
    std::set<std::int32_t> chosen;
    while (static_cast<int>(chosen.size()) < cell_count) {
      chosen.insert(static_cast<std::int32_t>(random() % pool_cells));
    }
    cells.assign(chosen.begin(), chosen.end());
    for (int row = 0; row < rows(); ++row) {
      queries.emplace_back();
      for (int at = 0; at < key_width; ++at) {
        queries.back().push_back(static_cast<float>(random() % 2001) / 1000.0F - 1.0F);
      }
    }
  }

  int rows() const { return block.tokens * block.heads; }
  bool looks(int row, std::size_t cell) const {
    return lookers.empty() || (lookers[cell] >> row % block.tokens & 1) != 0;
  }

  void mix(std::mt19937& random) {
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      const bool all = random() % 3 == 0;
      lookers.push_back((all ? ~std::uint64_t{0} : random()) &
                        ((std::uint64_t{1} << block.tokens) - 1));
    }
  }

  // As the kernels compute it, the cells in `parts` parts. False if not all is finite.
  bool attend(InstructionSet set, int parts, std::vector<std::vector<float>>& out) {
    const AttentionKernels kernels = attention_kernels(set);
    block.keys = keys.rows();
    block.values = values.rows();
    std::vector<const float*> rows_of_queries;
    for (const auto& query : queries) rows_of_queries.push_back(query.data());
    block.queries = rows_of_queries.data();
    const auto width = static_cast<std::size_t>(values.width);
    const std::size_t stride = queries.size() * (2 + width);
    std::vector<float> sums(stride * static_cast<std::size_t>(parts));
    std::vector<std::byte> scratch(attention_scratch_bytes(keys.width, values.width));
    const auto at = [&](float* memory) {
      return AttentionSums{memory, memory + rows(), memory + 2 * rows()};
    };
    for (int part = 0; part < parts; ++part) {
      const std::size_t begin =
          cells.size() * static_cast<std::size_t>(part) / static_cast<std::size_t>(parts);
      const std::size_t end =
          cells.size() * static_cast<std::size_t>(part + 1) / static_cast<std::size_t>(parts);
      block.cells = cells.data() + begin;
      block.cell_count = static_cast<std::int64_t>(end - begin);
      block.lookers = lookers.empty() ? nullptr : lookers.data() + begin;
      kernels.attend(block, scratch.data(),
                     at(sums.data() + stride * static_cast<std::size_t>(part)));
    }
    bool finite = true;
    AttentionSums first = at(sums.data());
    out.assign(queries.size(), std::vector<float>(width));
    for (auto& row : out) {
      finite &=
          kernels.finish(first, parts, stride, sink ? &*sink : nullptr, values.width, row.data());
      ++first.largest;
      ++first.sums;
      first.values += width;
    }
    return finite;
  }

  std::vector<double> expected(int row) {
    std::vector<double> scores;
    double largest = sink ? *sink : -1e300;
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      double score = 0;
      for (int at = 0; at < keys.width; ++at) {
        score += static_cast<double>(
                     queries[static_cast<std::size_t>(row)][static_cast<std::size_t>(at)]) *
                 keys.value(cells[cell], at);
      }
      score *= block.scale;
      if (block.softcap != 0) score = block.softcap * std::tanh(score / block.softcap);
      scores.push_back(score);
      if (looks(row, cell)) largest = std::max(largest, score);
    }
    double sum = sink ? std::exp(*sink - largest) : 0;
    std::vector<double> out(static_cast<std::size_t>(values.width));
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      if (!looks(row, cell)) continue;
      const double weight = std::exp(scores[cell] - largest);
      sum += weight;
      for (int at = 0; at < values.width; ++at) {
        out[static_cast<std::size_t>(at)] += weight * values.value(cells[cell], at);
      }
    }
    for (double& value : out) value = sum == 0 ? 0 : value / sum;
    return out;
  }

  void check(InstructionSet set, int parts) {
    std::vector<std::vector<float>> out;
    EXPECT_TRUE(attend(set, parts, out));
    for (int row = 0; row < rows(); ++row) {
      const std::vector<double> wanted = expected(row);
      for (std::size_t at = 0; at < wanted.size(); ++at) {
        ASSERT_NEAR(out[static_cast<std::size_t>(row)][at], wanted[at], 3e-6)
            << name(set) << ", row " << row << " of " << block.tokens << " tokens and "
            << block.heads << " heads, number " << at << ", " << cells.size() << " cells in "
            << parts << " parts, keys " << keys.width << " wide";
      }
    }
  }

  Pool keys;
  Pool values;
  AttentionBlock block;
  std::vector<std::int32_t> cells;
  std::vector<std::uint64_t> lookers;
  std::vector<std::vector<float>> queries;
  std::optional<float> sink;
};

struct Rows {
  int tokens;
  int heads;
};
constexpr std::array all_rows = {Rows{1, 1},  Rows{1, 3},  Rows{1, 4},  Rows{4, 2}, Rows{3, 4},
                                 Rows{13, 1}, Rows{5, 3},  Rows{16, 1}, Rows{4, 8}, Rows{16, 3},
                                 Rows{21, 3}, Rows{64, 1}, Rows{1, 64}};

TEST(Attention, EqualsSumsInDoublePrecision) {
  std::mt19937 random(1);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const CellType type : {CellType::half, CellType::single, CellType::q8_0}) {
      for (const Rows rows : all_rows) {
        for (const int cells : {1, 64, 130}) {
          Case one(type, 64, 64, rows.tokens, rows.heads, cells, random);
          one.block.together = true;
          if (rows.tokens > 1 && rows.tokens < 64) one.mix(random);
          one.check(set, 1);
          if (cells > 64) one.check(set, 3);
        }
      }
    }
  }
}

// A prompt's tokens in one block, and each alone with the cells that it looks at.
TEST(Attention, TokensAreTheSameInAnyCompany) {
  std::mt19937 random(9);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Rows rows : {Rows{2, 1}, Rows{7, 3}, Rows{21, 3}, Rows{4, 16}}) {
      Case one(CellType::half, 64, 64, rows.tokens, rows.heads, 200, random);
      for (int cell = 0; cell < 200; ++cell) {  // the last ones are the tokens' own
        const int own = cell - (200 - rows.tokens);
        one.lookers.push_back((~std::uint64_t{0} << std::max(own, 0)) &
                              ((std::uint64_t{1} << rows.tokens) - 1));
      }
      std::vector<std::vector<float>> together;
      EXPECT_TRUE(one.attend(set, 1, together));
      for (int token = 0; token < rows.tokens; ++token) {
        Case alone = one;
        alone.block.tokens = 1;
        alone.lookers.clear();
        alone.cells.resize(static_cast<std::size_t>(200 - rows.tokens + token + 1));
        alone.queries.clear();
        for (int head = 0; head < rows.heads; ++head) {
          alone.queries.push_back(
              one.queries[static_cast<std::size_t>(head * rows.tokens + token)]);
        }
        std::vector<std::vector<float>> out;
        EXPECT_TRUE(alone.attend(set, 1, out));
        for (int head = 0; head < rows.heads; ++head) {
          EXPECT_EQ(out[static_cast<std::size_t>(head)],
                    together[static_cast<std::size_t>(head * rows.tokens + token)])
              << name(set) << ", token " << token << " of " << rows.tokens << ", head " << head;
        }
      }
    }
  }
}

TEST(Attention, KnowsEveryWidth) {
  std::mt19937 random(2);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const auto& [key, value] :
         {std::array{32, 32}, {96, 96}, {128, 128}, {192, 128}, {256, 256}, {576, 512}}) {
      for (const Rows rows : {Rows{1, 3}, Rows{1, 16}, Rows{7, 8}}) {
        Case one(CellType::half, key, value, rows.tokens, rows.heads, 130, random);
        one.check(set, 2);
      }
    }
  }
}

TEST(Attention, SinksAndSoftcaps) {
  std::mt19937 random(3);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Rows rows : {Rows{1, 3}, Rows{16, 3}}) {
      for (const float cap : {0.0F, 0.5F, 30.0F}) {
        for (const float sink : {-5.0F, 0.0F, 40.0F}) {
          Case one(CellType::half, 64, 64, rows.tokens, rows.heads, 100, random);
          one.block.softcap = cap;
          one.sink = sink;
          one.check(set, 1);
          one.check(set, 2);
        }
      }
    }
  }
}

TEST(Attention, ScoresOfAnySizeGiveFiniteResults) {
  std::mt19937 random(4);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Rows rows : {Rows{1, 3}, Rows{16, 3}}) {
      for (const float scale : {0.0F, 1e-30F, 50.0F, -50.0F}) {
        Case one(CellType::single, 64, 64, rows.tokens, rows.heads, 100, random);
        one.block.scale = scale;
        std::vector<std::vector<float>> out;
        EXPECT_TRUE(one.attend(set, 1, out)) << name(set) << " " << scale;
        // So large a scale leaves one cell, whose own rounding decides nothing.
        for (int row = 0; row < one.rows(); ++row) {
          EXPECT_NEAR(out[static_cast<std::size_t>(row)][0], one.expected(row)[0], 2e-3);
        }
      }
    }
  }
}

TEST(Attention, ATokenThatLooksAtNothingGetsZeros) {
  std::mt19937 random(5);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Rows rows : {Rows{2, 3}, Rows{16, 3}}) {
      Case one(CellType::half, 64, 64, rows.tokens, rows.heads, 100, random);
      one.lookers.assign(100, ~std::uint64_t{1} & ((std::uint64_t{1} << rows.tokens) - 1));
      std::vector<std::vector<float>> out;
      EXPECT_TRUE(one.attend(set, 2, out));
      EXPECT_EQ(out[0], std::vector<float>(64, 0.0F)) << name(set);
      one.check(set, 2);
    }
    Case none(CellType::half, 64, 64, 1, 3, 0, random);
    none.check(set, 1);
  }
}

TEST(Attention, WhatIsNoNumberIsToldAndStaysInItsRow) {
  std::mt19937 random(6);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Rows rows : {Rows{1, 3}, Rows{16, 3}}) {
      Case one(CellType::half, 64, 64, rows.tokens, rows.heads, 100, random);
      one.queries[1][7] = std::numeric_limits<float>::quiet_NaN();
      std::vector<std::vector<float>> out;
      EXPECT_FALSE(one.attend(set, 1, out));
      EXPECT_TRUE(std::isnan(out[1][0])) << name(set);
      EXPECT_NEAR(out[0][0], one.expected(0)[0], 3e-6) << name(set);
      Case two(CellType::half, 64, 64, rows.tokens, rows.heads, 100, random);
      two.values.set(two.cells[50], 3, infinity);
      EXPECT_FALSE(two.attend(set, 1, out));
      EXPECT_FALSE(std::isfinite(out[0][3]));
      EXPECT_NEAR(out[0][4], two.expected(0)[4], 3e-6);
    }
  }
}

TEST(OpenCells, OneBitForEachCell) {
  std::mt19937 random(7);
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    const AttentionKernels kernels = attention_kernels(set);
    std::vector<std::uint16_t> mask(256);
    for (std::uint16_t& cell : mask) cell = std::array{0x0000, 0x8000, 0xFC00}[random() % 3];
    std::vector<std::uint64_t> open(4);
    EXPECT_TRUE(kernels.open_cells(mask.data(), 256, open.data()));
    for (std::size_t cell = 0; cell < 256; ++cell) {
      EXPECT_EQ(open[cell / 64] >> cell % 64 & 1, mask[cell] == 0xFC00 ? 0U : 1U)
          << name(set) << " " << cell;
    }
    for (const std::size_t place : {0U, 17U, 31U, 63U, 200U, 255U}) {
      for (const std::uint16_t other : {0x0001, 0x3C00, 0xBC00, 0x7C00, 0xFC01}) {
        auto biased = mask;
        biased[place] = other;
        EXPECT_FALSE(kernels.open_cells(biased.data(), 256, open.data())) << name(set);
      }
    }
  }
}

using Open = std::vector<std::set<int>>;  // of each token

std::vector<std::uint64_t> bits(const Open& open, std::size_t words) {
  std::vector<std::uint64_t> out(open.size() * words);
  for (std::size_t token = 0; token < open.size(); ++token) {
    for (const int cell : open[token]) {
      out[token * words + static_cast<std::size_t>(cell) / 64] |= std::uint64_t{1} << cell % 64;
    }
  }
  return out;
}

AttentionPlan planned(const Open& open, std::int64_t heads) {
  AttentionPlan plan;
  plan_attention(bits(open, 16), static_cast<std::int64_t>(open.size()), heads, plan);
  return plan;
}

std::set<int> range(int begin, int end) {
  std::set<int> cells;
  for (int cell = begin; cell < end; ++cell) cells.insert(cell);
  return cells;
}

// Whatever the runs are: every token once, each with its own cells.
void expect_covers(const AttentionPlan& plan, const Open& open) {
  std::size_t next = 0;
  std::vector<std::int32_t> cells;
  for (const AttentionRun& run : plan.runs) {
    for (int token = 0; token < run.tokens; ++token) {
      ASSERT_EQ(static_cast<std::size_t>(run.token + token), next);
      cells_of_token(plan, run, token, cells);
      EXPECT_EQ(std::set<int>(cells.begin(), cells.end()), open[next]) << "token " << next;
      ++next;
    }
    bool mixed = false;
    for (std::int64_t at = run.cells_begin; at < run.cells_end; ++at) {
      mixed |=
          static_cast<std::uint64_t>(std::popcount(plan.lookers[static_cast<std::size_t>(at)])) !=
          static_cast<std::uint64_t>(run.tokens);
    }
    EXPECT_EQ(run.mixed, mixed);
  }
  EXPECT_EQ(next, open.size());
}

TEST(AttentionPlan, APromptIsRunsOfAsManyRowsAsABlockTakes) {
  Open open;
  for (int token = 0; token < 70; ++token) open.push_back(range(100, 300 + token));
  const AttentionPlan plan = planned(open, 3);
  expect_covers(plan, open);
  ASSERT_EQ(plan.runs.size(), 4U);
  EXPECT_EQ(plan.runs[0].tokens, 21);
  EXPECT_EQ(plan.runs[3].tokens, 7);
  EXPECT_TRUE(plan.runs[0].mixed);
  EXPECT_TRUE(plan.runs[0].together);
}

TEST(AttentionPlan, ShortPromptsAndGuessesAreAsEachTokenAlone) {
  for (const auto& [depth, tokens, together] : {std::tuple{0, 63, false},
                                                {0, 64, true},
                                                {250, 30, false},
                                                {256, 16, true},
                                                {256, 15, false}}) {
    Open open;
    for (int token = 0; token < tokens; ++token) open.push_back(range(0, depth + token + 1));
    const AttentionPlan plan = planned(open, 3);
    expect_covers(plan, open);
    EXPECT_EQ(plan.runs.size(), static_cast<std::size_t>((tokens + 20) / 21));
    // The first tokens of all look at too little.
    const std::size_t run = plan.runs.size() > 1 ? 1 : 0;
    EXPECT_EQ(plan.runs[run].together, together) << depth << " " << tokens;
  }
}

TEST(AttentionPlan, SequencesWithNothingInCommonAreApart) {
  Open open;
  for (int token = 0; token < 8; ++token) open.push_back(range(token * 100, token * 100 + 90));
  const AttentionPlan plan = planned(open, 3);
  expect_covers(plan, open);
  EXPECT_EQ(plan.runs.size(), 8U);
  EXPECT_FALSE(plan.runs[0].mixed);
}

TEST(AttentionPlan, SequencesWithALongBeginningInCommonAreTogetherAShortOneDoesNotPay) {
  for (const int common : {20, 900}) {
    Open open;
    for (int token = 0; token < 16; ++token) {
      open.push_back(range(0, common));
      open.back().merge(range(900 + token * 4, 904 + token * 4));
    }
    const AttentionPlan plan = planned(open, 3);
    expect_covers(plan, open);
    EXPECT_EQ(plan.runs.size(), common == 900 ? 1U : 16U) << common;
  }
}

TEST(AttentionPlan, HeadsOfOneTokenMayFillABlockAlone) {
  const Open open = {range(0, 300), range(0, 301)};
  for (const std::int64_t heads : {64, 128}) {
    const AttentionPlan plan = planned(open, heads);
    expect_covers(plan, open);
    EXPECT_EQ(plan.runs.size(), 2U);
  }
}

TEST(AttentionPlan, CoversWhateverTheMaskSays) {
  std::mt19937 random(8);
  for (int round = 0; round < 200; ++round) {
    Open open(1 + random() % 70);
    std::set<int> last;
    for (auto& cells : open) {
      if (random() % 4 == 0) last.clear();
      const int begin = static_cast<int>(random() % 900);
      last.merge(range(begin, begin + static_cast<int>(random() % 100)));
      cells = random() % 10 == 0 ? std::set<int>() : last;
    }
    expect_covers(planned(open, std::array{1, 3, 8, 64}[random() % 4]), open);
  }
}

}  // namespace
}  // namespace deepseek::kernels
