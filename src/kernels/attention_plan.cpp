#include "kernels/attention_plan.hpp"

#include "kernels/attention.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace deepseek::kernels {

namespace {

using Words = const std::uint64_t*;

struct Common {
  std::int64_t before = 0;  // cells of the token before
  std::int64_t here = 0;
  std::int64_t both = 0;
};

Common compare(Words before, Words here, std::size_t words) {
  Common count;
  for (std::size_t word = 0; word < words; ++word) {
    if ((before[word] | here[word]) == 0) continue;
    count.before += std::popcount(before[word]);
    count.here += std::popcount(here[word]);
    count.both += std::popcount(before[word] & here[word]);
  }
  return count;
}

bool share_most(const Common& count) {
  return 2 * count.both >= count.before && 2 * count.both >= count.here;
}

// Of a cell with so many rows, in quarters of a nanosecond of a Zen 4 core; see attend.hpp.
std::int64_t cost(std::int64_t rows) {
  return rows <= 12 ? 8 + 16 * rows : 40 + 12 * ((rows + 15) / 16 * 16);
}

void add_run(Words open, std::size_t words, std::int64_t token, int tokens, AttentionPlan& plan) {
  AttentionRun run{token, tokens, static_cast<std::int64_t>(plan.cells.size()), 0, false};
  const std::uint64_t all = tokens == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << tokens) - 1;
  for (std::size_t word = 0; word < words; ++word) {
    std::uint64_t any = 0;
    std::uint64_t each = ~std::uint64_t{0};
    for (int at = 0; at < tokens; ++at) {
      const std::uint64_t bits = open[static_cast<std::size_t>(at) * words + word];
      any |= bits;
      each &= bits;
    }
    for (; any != 0; any &= any - 1) {
      const int bit = std::countr_zero(any);
      std::uint64_t lookers = all;
      if ((each >> bit & 1) == 0) {
        lookers = 0;
        for (int at = 0; at < tokens; ++at) {
          lookers |= (open[static_cast<std::size_t>(at) * words + word] >> bit & 1) << at;
        }
        run.mixed = true;
      }
      plan.cells.push_back(static_cast<std::int32_t>(word * 64) + bit);
      plan.lookers.push_back(lookers);
    }
  }
  run.cells_end = static_cast<std::int64_t>(plan.cells.size());
  plan.runs.push_back(run);
}

// Tokens are computed together where that costs less than each of them alone.
void add_runs(Words open, std::size_t words, std::int64_t token, int tokens, std::int64_t heads,
              AttentionPlan& plan) {
  std::int64_t all = 0;
  std::int64_t each = 0;
  for (std::size_t word = 0; word < words; ++word) {
    std::uint64_t any = 0;
    for (int at = 0; at < tokens; ++at) {
      const std::uint64_t bits = open[static_cast<std::size_t>(at) * words + word];
      any |= bits;
      if (bits != 0) each += std::popcount(bits);
    }
    if (any != 0) all += std::popcount(any);
  }
  if (all * cost(tokens * heads) <= each * cost(heads)) {
    return add_run(open, words, token, tokens, plan);
  }
  for (int at = 0; at < tokens; ++at) {
    add_run(open + static_cast<std::size_t>(at) * words, words, token + at, 1, plan);
  }
}

}  // namespace

void plan_attention(const std::vector<std::uint64_t>& open, std::int64_t tokens, std::int64_t heads,
                    AttentionPlan& plan) {
  plan.runs.clear();
  plan.cells.clear();
  plan.lookers.clear();
  const std::size_t words = open.size() / static_cast<std::size_t>(tokens);
  const std::int64_t run_tokens = std::max<std::int64_t>(1, attention_rows_max / heads);
  std::int64_t first = 0;
  for (std::int64_t token = 1; token <= tokens; ++token) {
    const Words here = open.data() + static_cast<std::size_t>(token) * words;
    if (token < tokens && token - first < run_tokens &&
        share_most(compare(here - words, here, words))) {
      continue;
    }
    add_runs(open.data() + static_cast<std::size_t>(first) * words, words, first,
             static_cast<int>(token - first), heads, plan);
    first = token;
  }
}

void cells_of_token(const AttentionPlan& plan, const AttentionRun& run, int token,
                    std::vector<std::int32_t>& cells) {
  cells.clear();
  for (auto at = static_cast<std::size_t>(run.cells_begin);
       at < static_cast<std::size_t>(run.cells_end); ++at) {
    if ((plan.lookers[at] >> token & 1) != 0) cells.push_back(plan.cells[at]);
  }
}

}  // namespace deepseek::kernels
