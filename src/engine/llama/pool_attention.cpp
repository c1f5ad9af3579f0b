#include "engine/llama/pool_attention.hpp"

#include "kernels/attention_plan.hpp"

#include <ggml-cpu-impl.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

namespace deepseek::engine::llama {
namespace {

using kernels::attention_rows_max;

constexpr std::size_t alignment = 64;
// Pieces for each thread, so that a thread that is held up does not hold up the rest.
constexpr std::int64_t pieces_per_thread = 4;
// A part of a run has so many cells at least: parts are added up afterwards.
constexpr std::int64_t part_cells_min = 256;
// So small a mask one thread reads alone, sooner than it could wait for the others.
constexpr std::int64_t own_mask_cells = 32 << 10;
constexpr std::int64_t word_cells = 64;
constexpr std::uint16_t closed = 0xFC00;  // minus infinity, a half

std::size_t aligned(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

float parameter(const ggml_tensor* operation, int index) {
  float value = 0;
  std::memcpy(&value, operation->op_params + index, sizeof value);
  return value;
}
float scale_of(const ggml_tensor* operation) {
  return parameter(operation, 0);
}
float slope_of(const ggml_tensor* operation) {
  return parameter(operation, 1);
}
float softcap_of(const ggml_tensor* operation) {
  return parameter(operation, 2);
}

std::optional<kernels::CellType> cell_type(const ggml_tensor* cells) {
  if (cells->type == GGML_TYPE_F16) return kernels::CellType::half;
  if (cells->type == GGML_TYPE_F32) return kernels::CellType::single;
  if (cells->type == GGML_TYPE_Q8_0) return kernels::CellType::q8_0;
  return std::nullopt;
}

// How the operation's heads and tokens are parted.
struct Shape {
  explicit Shape(const ggml_tensor* operation)
      : key_width(static_cast<int>(operation->src[1]->ne[0])),
        value_width(static_cast<int>(operation->src[2]->ne[0])),
        tokens(operation->src[0]->ne[1]),
        pool_heads(operation->src[1]->ne[2]),
        shared_by(operation->src[0]->ne[2] / pool_heads),
        head_blocks((shared_by + attention_rows_max - 1) / attention_rows_max),
        cells(operation->src[1]->ne[1]),
        words((cells + word_cells - 1) / word_cells) {}

  std::size_t sums_floats(std::int64_t rows) const {
    return static_cast<std::size_t>(rows) * (2 + static_cast<std::size_t>(value_width));
  }
  std::int64_t rows_max() const {
    return std::min<std::int64_t>(attention_rows_max, tokens * shared_by);
  }

  int key_width;
  int value_width;
  std::int64_t tokens;
  std::int64_t pool_heads;
  std::int64_t shared_by;    // heads of queries with the same keys and values
  std::int64_t head_blocks;  // of these: as many as a block takes
  std::int64_t cells;
  std::int64_t words;  // of bits, for each token
};

// The work buffer: what the threads share, then each one's own.
struct Work {
  Work(const Shape& shape, int threads, void* memory) {
    auto* at = static_cast<std::byte*>(memory);
    const auto take = [&at](std::size_t size) {
      std::byte* begin = at;
      at += aligned(size);
      return begin;
    };
    plan = reinterpret_cast<const kernels::AttentionPlan**>(take(sizeof(void*)));
    const auto pieces = static_cast<std::size_t>(threads * pieces_per_thread);
    left = reinterpret_cast<std::atomic<int>*>(take(pieces * sizeof(std::atomic<int>)));
    known = reinterpret_cast<std::atomic<bool>*>(take(sizeof(std::atomic<bool>)));
    open = reinterpret_cast<std::uint64_t*>(
        take(static_cast<std::size_t>(shape.tokens * shape.words) * sizeof(std::uint64_t)));
    parts = reinterpret_cast<float*>(
        take(2 * pieces * shape.sums_floats(shape.rows_max()) * sizeof(float)));
    sums_bytes = aligned(shape.sums_floats(attention_rows_max) * sizeof(float));
    own_bytes =
        sums_bytes + aligned(kernels::attention_scratch_bytes(shape.key_width, shape.value_width));
    own = take(static_cast<std::size_t>(threads) * own_bytes);
    bytes = static_cast<std::size_t>(at - static_cast<std::byte*>(memory));
  }

  const kernels::AttentionPlan** plan;  // null: ggml has to compute it
  std::atomic<bool>* known;             // the mask says only which cells are open
  std::atomic<int>* left;               // parts of a piece that are not computed yet
  std::uint64_t* open;                  // [tokens][words]
  float* parts;                         // sums of parts
  std::byte* own;                       // sums and scratch of each thread
  std::size_t sums_bytes = 0;
  std::size_t own_bytes = 0;
  std::size_t bytes = 0;
};

// The first thread's last plans: layers of a model have one mask in common, or two of them.
class Plans {
 public:
  const kernels::AttentionPlan& find(const Shape& shape, const std::uint64_t* open) {
    const auto words = static_cast<std::size_t>(shape.tokens * shape.words);
    const auto same = [&](const Entry& entry) {
      return entry.tokens == shape.tokens && entry.heads == shape.shared_by &&
             std::ranges::equal(entry.open, std::span(open, words));
    };
    const auto found = std::ranges::find_if(entries_, same);
    if (found != entries_.end()) return found->plan;
    Entry& entry = entries_[next_++ % entries_.size()];
    entry.tokens = shape.tokens;
    entry.heads = shape.shared_by;
    entry.open.assign(open, open + words);
    kernels::plan_attention(entry.open, entry.tokens, entry.heads, entry.plan);
    return entry.plan;
  }

 private:
  struct Entry {
    std::int64_t tokens = 0;
    std::int64_t heads = 0;
    std::vector<std::uint64_t> open;
    kernels::AttentionPlan plan;
  };
  std::array<Entry, 2> entries_;
  std::size_t next_ = 0;
};

Plans& plans_of_this_thread() {
  thread_local Plans plans;
  return plans;
}

class Attention {
 public:
  Attention(const kernels::AttentionKernels& kernels, const GgmlCpu& cpu,
            const ggml_compute_params& params, ggml_tensor* operation)
      : kernels_(kernels),
        cpu_(cpu),
        params_(params),
        operation_(operation),
        shape_(operation),
        work_(shape_, params.nth, params.wdata) {}

  bool run() {
    prepare();
    if (*work_.plan == nullptr) {
      cpu_.barrier(params_.threadpool);  // ggml's own way writes where others still look
      return false;
    }
    const kernels::AttentionPlan& plan = **work_.plan;
    const std::int64_t parts = parts_of_each(plan);
    const std::int64_t count = pieces(plan) * parts;
    for (std::int64_t at = params_.ith; at < count;
         at = cpu_.add_to_counter(params_.threadpool, 1)) {
      // The last runs of a prompt have the most cells.
      const std::int64_t number = count - 1 - at;
      compute(plan, number / parts, number % parts, parts);
    }
    return true;
  }

 private:
  // What all threads need before they begin.
  void prepare() {
    const bool together = shape_.tokens * shape_.cells > own_mask_cells;
    if (params_.ith == 0) {
      new (work_.known) std::atomic<bool>(true);
      cpu_.set_counter(params_.threadpool, params_.nth);
    }
    if (together) {
      cpu_.barrier(params_.threadpool);
      read_mask(params_.ith, params_.nth);
      cpu_.barrier(params_.threadpool);
    }
    if (params_.ith == 0) {
      if (!together) read_mask(0, 1);
      plan();
    }
    cpu_.barrier(params_.threadpool);
  }

  void read_mask(std::int64_t first, std::int64_t step) {
    const ggml_tensor* mask = operation_->src[3];
    const std::int64_t whole = shape_.cells / word_cells * word_cells;
    bool known = true;
    for (std::int64_t token = first; token < shape_.tokens; token += step) {
      const auto* row =
          reinterpret_cast<const std::uint16_t*>(static_cast<const std::byte*>(mask->data) +
                                                 static_cast<std::size_t>(token) * mask->nb[1]);
      std::uint64_t* open = work_.open + token * shape_.words;
      known &= kernels_.open_cells(row, whole, open);
      if (whole < shape_.cells) {
        std::array<std::uint16_t, word_cells> rest;
        rest.fill(closed);
        std::copy(row + whole, row + shape_.cells, rest.begin());
        known &= kernels_.open_cells(rest.data(), word_cells, open + whole / word_cells);
      }
    }
    if (!known) work_.known->store(false, std::memory_order_relaxed);
  }

  void plan() {
    *work_.plan = nullptr;
    if (!work_.known->load(std::memory_order_relaxed)) return;
    const kernels::AttentionPlan& plan = plans_of_this_thread().find(shape_, work_.open);
    const std::int64_t parts = parts_of_each(plan);
    if (parts > 1) {
      for (std::int64_t piece = 0; piece < pieces(plan); ++piece) {
        new (work_.left + piece) std::atomic<int>(static_cast<int>(parts));
      }
    }
    *work_.plan = &plan;
  }

  std::int64_t pieces(const kernels::AttentionPlan& plan) const {
    return static_cast<std::int64_t>(plan.runs.size()) * shape_.pool_heads * shape_.head_blocks;
  }

  std::int64_t parts_of_each(const kernels::AttentionPlan& plan) const {
    const std::int64_t wanted = params_.nth == 1 ? 1 : params_.nth * pieces_per_thread;
    const std::int64_t have = pieces(plan);
    if (have >= wanted) return 1;
    std::int64_t most = 1;
    for (const kernels::AttentionRun& run : plan.runs) {
      most = std::max(most, (run.cells_end - run.cells_begin) / part_cells_min);
    }
    return std::min(most, (wanted + have - 1) / have);
  }

  // One run and the heads that are computed together.
  struct Piece {
    const kernels::AttentionRun* run;
    std::int64_t pool_head;
    std::int64_t first_head;
    int heads;
    int rows() const { return heads * run->tokens; }
  };

  Piece piece_at(const kernels::AttentionPlan& plan, std::int64_t number) const {
    const std::int64_t block = number % shape_.head_blocks;
    const std::int64_t pool_head = number / shape_.head_blocks % shape_.pool_heads;
    const auto run = static_cast<std::size_t>(number / shape_.head_blocks / shape_.pool_heads);
    const std::int64_t first = block * attention_rows_max;
    return {&plan.runs[run], pool_head, pool_head * shape_.shared_by + first,
            static_cast<int>(std::min<std::int64_t>(attention_rows_max, shape_.shared_by - first))};
  }

  void compute(const kernels::AttentionPlan& plan, std::int64_t number, std::int64_t part,
               std::int64_t parts) {
    const Piece piece = piece_at(plan, number);
    std::byte* own = work_.own + static_cast<std::size_t>(params_.ith) * work_.own_bytes;
    if (parts == 1) {
      const kernels::AttentionSums sums = sums_at(reinterpret_cast<float*>(own), piece.rows());
      attend_cells(plan, piece, piece.run->cells_begin, piece.run->cells_end, sums);
      return keep(plan, piece, sums, 1, 0);
    }
    const std::size_t stride = shape_.sums_floats(shape_.rows_max());
    float* first = work_.parts + static_cast<std::size_t>(number * parts) * stride;
    const std::int64_t cells = piece.run->cells_end - piece.run->cells_begin;
    const auto border = [&](std::int64_t at) {
      return piece.run->cells_begin + cells * at / parts;
    };
    attend_cells(plan, piece, border(part), border(part + 1),
                 sums_at(first + static_cast<std::size_t>(part) * stride, piece.rows()));
    if (work_.left[number].fetch_sub(1, std::memory_order_acq_rel) == 1) {
      keep(plan, piece, sums_at(first, piece.rows()), static_cast<int>(parts), stride);
    }
  }

  kernels::AttentionSums sums_at(float* memory, int rows) const {
    return {memory, memory + rows, memory + std::ptrdiff_t{2} * rows};
  }

  kernels::AttentionSums next_row(const kernels::AttentionSums& sums) const {
    return {sums.largest + 1, sums.sums + 1, sums.values + shape_.value_width};
  }

  void attend_cells(const kernels::AttentionPlan& plan, const Piece& piece, std::int64_t begin,
                    std::int64_t end, const kernels::AttentionSums& sums) {
    std::array<const float*, attention_rows_max> queries{};
    for (int row = 0; row < piece.rows(); ++row) {
      queries[static_cast<std::size_t>(row)] = query(piece, row);
    }
    kernels::AttentionBlock block = block_of(piece, queries.data());
    block.cells = plan.cells.data() + begin;
    block.cell_count = end - begin;
    block.lookers = piece.run->mixed ? plan.lookers.data() + begin : nullptr;
    block.tokens = piece.run->tokens;
    kernels_.attend(block, scratch(), sums);
  }

  kernels::AttentionBlock block_of(const Piece& piece, const float* const* queries) const {
    kernels::AttentionBlock block;
    block.keys = cells_of(operation_->src[1], piece.pool_head);
    block.values = cells_of(operation_->src[2], piece.pool_head);
    block.scale = scale_of(operation_);
    block.softcap = softcap_of(operation_);
    block.heads = piece.heads;
    block.together = piece.run->together;
    block.queries = queries;
    return block;
  }

  static kernels::CellRows cells_of(const ggml_tensor* cells, std::int64_t head) {
    return {
        static_cast<const std::byte*>(cells->data) + static_cast<std::size_t>(head) * cells->nb[2],
        cells->nb[1], *cell_type(cells), static_cast<int>(cells->ne[0])};
  }

  std::byte* scratch() const {
    return work_.own + static_cast<std::size_t>(params_.ith) * work_.own_bytes + work_.sums_bytes;
  }

  static std::int64_t head_of(const Piece& piece, int row) {
    return piece.first_head + row / piece.run->tokens;
  }
  static std::int64_t token_of(const Piece& piece, int row) {
    return piece.run->token + row % piece.run->tokens;
  }

  const float* query(const Piece& piece, int row) const {
    const ggml_tensor* queries = operation_->src[0];
    return reinterpret_cast<const float*>(
        static_cast<const std::byte*>(queries->data) +
        static_cast<std::size_t>(token_of(piece, row)) * queries->nb[1] +
        static_cast<std::size_t>(head_of(piece, row)) * queries->nb[2]);
  }

  bool keep_row(const Piece& piece, int row, kernels::AttentionSums sums, int parts,
                std::size_t stride) const {
    const auto* sinks = operation_->src[4] == nullptr
                            ? nullptr
                            : static_cast<const float*>(operation_->src[4]->data);
    const std::int64_t head = head_of(piece, row);
    auto* out = reinterpret_cast<float*>(static_cast<std::byte*>(operation_->data) +
                                         static_cast<std::size_t>(head) * operation_->nb[1] +
                                         static_cast<std::size_t>(token_of(piece, row)) *
                                             operation_->nb[2]);
    return kernels_.finish(sums, parts, stride, sinks == nullptr ? nullptr : sinks + head,
                           shape_.value_width, out);
  }

  void keep(const kernels::AttentionPlan& plan, const Piece& piece, kernels::AttentionSums sums,
            int parts, std::size_t stride) {
    bool finite = true;
    for (int row = 0; row < piece.rows(); ++row) {
      finite &= keep_row(piece, row, sums, parts, stride);
      sums = next_row(sums);
    }
    if (!finite && piece.run->mixed) compute_apart(plan, piece);
  }

  // Cells that are infinite must not reach tokens that do not look at them.
  void compute_apart(const kernels::AttentionPlan& plan, const Piece& piece) {
    std::vector<std::int32_t> cells;
    std::array<const float*, attention_rows_max> queries{};
    std::vector<float> memory(shape_.sums_floats(piece.heads));
    for (int token = 0; token < piece.run->tokens; ++token) {
      kernels::cells_of_token(plan, *piece.run, token, cells);
      for (int head = 0; head < piece.heads; ++head) {
        queries[static_cast<std::size_t>(head)] = query(piece, head * piece.run->tokens + token);
      }
      kernels::AttentionBlock block = block_of(piece, queries.data());
      block.cells = cells.data();
      block.cell_count = static_cast<std::int64_t>(cells.size());
      kernels::AttentionSums sums = sums_at(memory.data(), piece.heads);
      kernels_.attend(block, scratch(), sums);
      for (int head = 0; head < piece.heads; ++head) {
        keep_row(piece, head * piece.run->tokens + token, sums, 1, 0);
        sums = next_row(sums);
      }
    }
  }

  const kernels::AttentionKernels& kernels_;
  const GgmlCpu& cpu_;
  const ggml_compute_params& params_;
  ggml_tensor* operation_;
  Shape shape_;
  Work work_;
};

// What ggml's own way needs at most: tiles of 64 rows and 64 cells of each thread, or a sum of each
// head and thread.
std::size_t ggml_work_bytes(const ggml_tensor* operation, int threads) {
  constexpr std::size_t tile = 64;
  const Shape shape(operation);
  const auto key = static_cast<std::size_t>(shape.key_width);
  const auto value = static_cast<std::size_t>(shape.value_width);
  const auto heads = static_cast<std::size_t>(operation->src[0]->ne[2]);
  const std::size_t tiles = 2 * tile * (key + tile + value);
  return sizeof(float) * static_cast<std::size_t>(threads) *
         std::max(tiles, heads * (2 + value) + key + 2 * value);
}

}  // namespace

bool can_attend(const ggml_tensor* operation) {
  const ggml_tensor* queries = operation->src[0];
  const ggml_tensor* keys = operation->src[1];
  const ggml_tensor* values = operation->src[2];
  const ggml_tensor* mask = operation->src[3];
  const auto wide = [](const ggml_tensor* cells) {
    return cells->ne[0] % kernels::attention_width_step == 0 && cell_type(cells).has_value();
  };
  return mask != nullptr && mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 && mask->ne[3] == 1 &&
         queries->type == GGML_TYPE_F32 && queries->ne[3] == 1 && keys->ne[3] == 1 &&
         values->ne[3] == 1 && wide(keys) && wide(values) && keys->ne[2] == values->ne[2] &&
         queries->ne[2] % keys->ne[2] == 0 && slope_of(operation) == 0;
}

std::size_t attention_work_bytes(const ggml_tensor* operation, int threads) {
  alignas(alignment) static std::byte origin[1];
  return std::max(Work(Shape(operation), threads, origin).bytes + alignment,
                  ggml_work_bytes(operation, threads));
}

bool attend(const kernels::AttentionKernels& kernels, const GgmlCpu& cpu,
            const ggml_compute_params& params, ggml_tensor* operation) {
  return Attention(kernels, cpu, params, operation).run();
}

}  // namespace deepseek::engine::llama
