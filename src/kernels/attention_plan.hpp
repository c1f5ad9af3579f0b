// Which cells of the KV pool the tokens of a batch look at: from the mask to runs of tokens.
//
// Tokens that follow each other and look at about the same cells make a run, where that pays:
// attention reads those cells once for all of them, wherever they lie. Mostly they are a prompt's
// tokens, or the next ones of sequences that begin alike. A mask has a bit for each cell of each
// token. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace deepseek::kernels {

struct AttentionRun {
  std::int64_t token = 0;  // the first
  int tokens = 0;
  std::int64_t cells_begin = 0;  // in AttentionPlan::cells and lookers
  std::int64_t cells_end = 0;
  bool mixed = false;     // not every token looks at every cell
  bool together = false;  // see AttentionBlock
};

struct AttentionPlan {
  std::vector<AttentionRun> runs;
  std::vector<std::int32_t> cells;
  std::vector<std::uint64_t> lookers;  // beside `cells`: bit t is set if the run's token t looks
};

// `open`: [tokens][words] of 64 cells each. `heads`: rows of each token, as many as share keys. The
// plan's memory is used again.
void plan_attention(const std::vector<std::uint64_t>& open, std::int64_t tokens, std::int64_t heads,
                    AttentionPlan& plan);

// The token of a run alone: the cells it looks at.
void cells_of_token(const AttentionPlan& plan, const AttentionRun& run, int token,
                    std::vector<std::int32_t>& cells);

}  // namespace deepseek::kernels
