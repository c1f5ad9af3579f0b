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

// So many tokens that follow each other are computed together, or fewer behind so many cells.
// Shorter prompts, next tokens and guesses are added up in the order that each of them alone would
// have.
constexpr std::int64_t together_min = 64;
constexpr std::int64_t together_min_deep = 16;
constexpr std::int64_t deep_cells = 256;

bool share_most(const Common& count) {
  return 2 * count.both >= count.before && 2 * count.both >= count.here;
}

// The next token of the same sequence sees what the one before saw.
bool goes_on(const Common& count) {
  return count.both == count.before && count.before > 0;
}

// Of a cell with so many rows, in quarters of a nanosecond of a Zen 4 core; see attend.hpp.
std::int64_t cost(std::int64_t rows) {
  return rows <= 12 ? 8 + 16 * rows : 40 + 12 * ((rows + 15) / 16 * 16);
}

void add_run(Words open, std::size_t words, std::int64_t token, int tokens, bool together,
             AttentionPlan& plan) {
  AttentionRun run{token, tokens, static_cast<std::int64_t>(plan.cells.size()), 0, false, together};
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

// Tokens of which each shares most of its cells with the one before.
struct Chain {
  Words open;  // [tokens][words]
  std::size_t words;
  std::int64_t token;  // the first
  std::int64_t tokens;
  std::int64_t heads;
  Words row(std::int64_t at) const { return open + static_cast<std::size_t>(at) * words; }
  std::int64_t run_tokens() const { return std::max<std::int64_t>(1, attention_rows_max / heads); }
};

bool is_long(const Chain& chain) {
  return chain.tokens >= together_min ||
         (chain.tokens >= together_min_deep &&
          compare(chain.open, chain.open, chain.words).here >= deep_cells);
}

// A sequence's tokens still read its cells together.
void add_apart(const Chain& chain, AttentionPlan& plan) {
  std::int64_t first = 0;
  for (std::int64_t at = 1; at <= chain.tokens; ++at) {
    if (at < chain.tokens && at - first < chain.run_tokens() &&
        goes_on(compare(chain.row(at - 1), chain.row(at), chain.words))) {
      continue;
    }
    add_run(chain.row(first), chain.words, chain.token + first, static_cast<int>(at - first), false,
            plan);
    first = at;
  }
}

// Whether reading what any token looks at, for all of them, costs less than each token alone.
bool pays(const Chain& chain) {
  std::int64_t all = 0;
  std::int64_t each = 0;
  for (std::size_t word = 0; word < chain.words; ++word) {
    std::uint64_t any = 0;
    for (std::int64_t at = 0; at < chain.tokens; ++at) {
      const std::uint64_t bits = chain.row(at)[word];
      any |= bits;
      if (bits != 0) each += std::popcount(bits);
    }
    if (any != 0) all += std::popcount(any);
  }
  return all * cost(chain.tokens * chain.heads) <= each * cost(chain.heads);
}

void add_together(const Chain& chain, AttentionPlan& plan) {
  for (std::int64_t at = 0; at < chain.tokens; at += chain.run_tokens()) {
    const std::int64_t tokens = std::min(chain.run_tokens(), chain.tokens - at);
    const Chain part{chain.row(at), chain.words, chain.token + at, tokens, chain.heads};
    if (pays(part)) {
      add_run(part.open, part.words, part.token, static_cast<int>(tokens), true, plan);
    } else {
      add_apart(part, plan);
    }
  }
}

}  // namespace

void plan_attention(const std::vector<std::uint64_t>& open, std::int64_t tokens, std::int64_t heads,
                    AttentionPlan& plan) {
  plan.runs.clear();
  plan.cells.clear();
  plan.lookers.clear();
  const std::size_t words = open.size() / static_cast<std::size_t>(tokens);
  const auto row = [&](std::int64_t token) {
    return open.data() + static_cast<std::size_t>(token) * words;
  };
  std::int64_t first = 0;
  for (std::int64_t token = 1; token <= tokens; ++token) {
    if (token < tokens && share_most(compare(row(token - 1), row(token), words))) continue;
    const Chain chain{row(first), words, first, token - first, heads};
    if (is_long(chain)) {
      add_together(chain, plan);
    } else {
      add_apart(chain, plan);
    }
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
