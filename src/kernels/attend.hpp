// What attention.hpp promises, written once; the arithmetic is an instruction set's.
//
// Templates alone, over a type that is local to the file which includes this: see multiply.hpp.
//
// Few rows: the lanes of a register are a key's numbers, and up to four rows meet a cell at once.
// Many rows: the lanes are rows, and the numbers of a tile's cells are spread to all lanes one by
// one; queries are turned round once for a block, nothing is added up across lanes.
//
// `Set` has, beside what multiply.hpp asks for:
//   tile_vectors, tile_sums       registers of rows side by side, and of sums, in a product
//   value_vectors                 registers of a value that few rows add to at once
//   few_rows                      up to so many, the first way is the faster one
//   load, keep(place, floats), plus, minus, divide, larger(a, b): b where one is no number
//   rounded_floats, times_power_of_two(floats, whole ones of -126 to 127)
//   zero_below(x, limit, floats)  zeros where x < limit
//   closed_unless(bits, floats)   minus infinity in lanes whose bit is not set
//   sum_of, largest_of            across lanes
//   sums_of_four(a, b, c, d, place)
//   open_bits(mask, &bad): 64 cells
#pragma once

#include "kernels/attention.hpp"
#include "kernels/quantize.hpp"

namespace deepseek::kernels {

inline constexpr int tile_cells = 64;
inline constexpr int fetch_distance = 16;  // cells
inline constexpr float minus_infinity = -__builtin_inff();
inline constexpr std::int16_t closed_cell = -0x0400;  // minus infinity, a half
inline constexpr float lowest_base = -3e38F;          // what is subtracted where no cell was seen

// exp(x) for x up to 88; zero below -87.3, where single precision ends.
template <class Set>
typename Set::Floats exponential(typename Set::Floats x) {
  constexpr float lowest = -87.3F;
  const auto bounded = Set::larger(Set::floats(lowest), x);
  const auto whole = Set::rounded_floats(Set::multiply(bounded, Set::floats(1.44269504088896341F)));
  auto rest = Set::subtract_product(whole, Set::floats(0.693359375F), bounded);
  rest = Set::subtract_product(whole, Set::floats(-2.12194440e-4F), rest);
  // The Taylor series, its last terms fitted to |rest| <= ln 2 / 2.
  auto sum = Set::floats(1.9875691500e-4F);
  sum = Set::multiply_add(sum, rest, Set::floats(1.3981999507e-3F));
  sum = Set::multiply_add(sum, rest, Set::floats(8.3334519073e-3F));
  sum = Set::multiply_add(sum, rest, Set::floats(4.1665795894e-2F));
  sum = Set::multiply_add(sum, rest, Set::floats(1.6666665459e-1F));
  sum = Set::multiply_add(sum, rest, Set::floats(5.0000001201e-1F));
  sum = Set::multiply_add(Set::multiply(sum, rest), rest, Set::plus(rest, Set::floats(1)));
  return Set::zero_below(x, Set::floats(lowest), Set::times_power_of_two(sum, whole));
}

// cap · tanh(x / cap)
template <class Set>
typename Set::Floats bent(typename Set::Floats x, float cap) {
  const auto twice = Set::multiply(x, Set::floats(2 / cap));
  // Beyond 80 it is flat.
  const auto bounded = Set::larger(
      Set::floats(-80),
      Set::minus(Set::zeros(), Set::larger(Set::floats(-80), Set::minus(Set::zeros(), twice))));
  const auto one = Set::floats(1);
  const auto above = Set::divide(Set::floats(2), Set::plus(exponential<Set>(bounded), one));
  return Set::multiply(Set::floats(cap), Set::minus(one, above));
}

template <class Set>
void widen(const CellRows& rows, std::int32_t cell, float* out) {
  const std::byte* from = rows.data + static_cast<std::size_t>(cell) * rows.stride;
  constexpr int block_bytes = 2 + block_columns;  // of Q8_0: a scale before its quants
  for (int at = 0; at < rows.width; at += Set::lanes) {
    if (rows.type == CellType::half) {
      Set::keep(out + at, Set::halves(from + static_cast<std::size_t>(at) * 2, 0));
    } else if (rows.type == CellType::single) {
      Set::keep(out + at, Set::load(reinterpret_cast<const float*>(from) + at));
    } else {
      const std::byte* block = from + static_cast<std::size_t>(at / block_columns * block_bytes);
      const auto scale = Set::floats(Set::half(block));
      const auto quants = Set::signed_bytes(block + 2 + at % block_columns, 0);
      Set::keep(out + at, Set::multiply(scale, quants));
    }
  }
}

// Some of a block's cells, at most tile_cells.
struct Tile {
  const std::int32_t* cells;
  const std::uint64_t* lookers;  // null: all of them look
  int count;
  int padded;         // a multiple of 16
  std::int64_t left;  // with the cells of later tiles
};

// A head's cells lie so far apart that the processor does not see where the next one is.
template <class Set>
void fetch(const CellRows& rows, const Tile& tile, std::int64_t at) {
  if (at >= tile.left) return;
  const std::byte* cell = rows.data + static_cast<std::size_t>(tile.cells[at]) * rows.stride;
  const int bytes = rows.width * (rows.type == CellType::single ? 4 : 2);
  for (int line = 0; line < bytes; line += 64) __builtin_prefetch(cell + line);
}

// A tile's keys or values as floats, with zeros behind them.
template <class Set>
void widen_tile(const CellRows& rows, const Tile& tile, float* out) {
  for (int at = 0; at < tile.count; ++at) {
    fetch<Set>(rows, tile, at + fetch_distance);
    widen<Set>(rows, tile.cells[at], out + at * rows.width);
  }
  for (int at = tile.count * rows.width; at < tile.padded * rows.width; at += Set::lanes) {
    Set::keep(out + at, Set::zeros());
  }
}

// Where factors stand that are spread to all lanes: the one of output i in step k is at
// data[i · output + k · step].
struct Spread {
  const float* data;
  int output;
  int step;
};

// out[i][row] += Σₖ spread(i, k) · right[k][row] for `outputs` outputs and `vectors` registers of
// rows; rows of both are `stride` floats apart.
template <class Set, int outputs, int vectors>
void add_products(const Spread& spread, const float* right, int length, float* out, int stride) {
  typename Set::Floats sums[outputs][vectors];
  for (int i = 0; i < outputs; ++i) {
    for (int v = 0; v < vectors; ++v) sums[i][v] = Set::load(out + i * stride + v * Set::lanes);
  }
  const float* left = spread.data;
#pragma GCC unroll 1
  for (int k = 0; k < length; ++k) {
    typename Set::Floats wide[vectors];
    for (int v = 0; v < vectors; ++v) wide[v] = Set::load(right + v * Set::lanes);
#pragma GCC unroll 16
    for (int i = 0; i < outputs; ++i) {
      const auto one = Set::floats(left[i * spread.output]);
      for (int v = 0; v < vectors; ++v) sums[i][v] = Set::multiply_add(one, wide[v], sums[i][v]);
    }
    left += spread.step;
    right += stride;
  }
  for (int i = 0; i < outputs; ++i) {
    for (int v = 0; v < vectors; ++v) Set::keep(out + i * stride + v * Set::lanes, sums[i][v]);
  }
}

// The same for any number of outputs that is a multiple of 16, and of rows of Set::lanes.
template <class Set, int vectors = Set::tile_vectors>
void add_all_products(Spread spread, int outputs, const float* right, int length, float* out,
                      int rows, int stride) {
  constexpr int together = Set::tile_sums / vectors >= 16  ? 16
                           : Set::tile_sums / vectors >= 8 ? 8
                                                           : 4;
  int row = 0;
  for (; row + vectors * Set::lanes <= rows; row += vectors * Set::lanes) {
    Spread here = spread;
    for (int i = 0; i < outputs; i += together) {
      add_products<Set, together, vectors>(here, right + row, length, out + i * stride + row,
                                           stride);
      here.data += together * spread.output;
    }
  }
  if constexpr (vectors > 1) {
    if (row < rows) {
      add_all_products<Set, vectors - 1>(spread, outputs, right + row, length, out + row,
                                         rows - row, stride);
    }
  }
}

// Bits of all rows from those of the tokens: row = head · tokens + token.
template <class Set>
std::uint64_t bits_of_heads(int tokens, int heads) {
  std::uint64_t bits = 0;
  for (int head = 0; head < heads; ++head) bits |= std::uint64_t{1} << head * tokens;
  return bits;
}

template <class Set>
std::uint64_t all_tokens(int tokens) {
  return tokens == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << tokens) - 1;
}

// Many rows: everything lies [number or cell][row].
template <class Set>
class ManyRows {
 public:
  ManyRows(const AttentionBlock& block, std::byte* scratch)
      : block_(block),
        rows_(block.tokens * block.heads),
        stride_((rows_ + Set::lanes - 1) / Set::lanes * Set::lanes),
        queries_(reinterpret_cast<float*>(scratch)),
        values_(queries_ + block.keys.width * attention_rows_max),
        scores_(values_ + block.values.width * attention_rows_max),
        wide_(scores_ + tile_cells * attention_rows_max),
        largest_(wide_ + tile_cells * (block.keys.width > block.values.width ? block.keys.width
                                                                             : block.values.width)),
        sums_(largest_ + attention_rows_max) {}

  void begin() {
    for (int row = 0; row < rows_; ++row) {
      const float* query = block_.queries[row];
      for (int at = 0; at < block_.keys.width; ++at) {
        queries_[at * stride_ + row] = query[at] * block_.scale;
      }
    }
    for (int row = rows_; row < stride_; ++row) {
      for (int at = 0; at < block_.keys.width; ++at) queries_[at * stride_ + row] = 0;
    }
    for (int at = 0; at < block_.values.width * stride_; at += Set::lanes) {
      Set::keep(values_ + at, Set::zeros());
    }
    for (int row = 0; row < stride_; row += Set::lanes) {
      Set::keep(largest_ + row, Set::floats(minus_infinity));
      Set::keep(sums_ + row, Set::zeros());
    }
  }

  void add(const Tile& tile) {
    widen_tile<Set>(block_.keys, tile, wide_);
    for (int at = 0; at < tile.padded * stride_; at += Set::lanes) {
      Set::keep(scores_ + at, Set::zeros());
    }
    const int key = block_.keys.width;
    add_all_products<Set>({wide_, key, 1}, tile.padded, queries_, key, scores_, stride_, stride_);
    if (block_.softcap != 0) bend(tile);
    close(tile);
    weigh(tile);
    widen_tile<Set>(block_.values, tile, wide_);
    const int value = block_.values.width;
    add_all_products<Set>({wide_, 1, value}, value, scores_, tile.padded, values_, stride_,
                          stride_);
  }

  void end(const AttentionSums& out) const {
    for (int row = 0; row < rows_; ++row) {
      out.largest[row] = largest_[row];
      out.sums[row] = sums_[row];
      float* to = out.values + row * block_.values.width;
      for (int at = 0; at < block_.values.width; ++at) to[at] = values_[at * stride_ + row];
    }
  }

 private:
  void bend(const Tile& tile) {
    for (int at = 0; at < tile.count * stride_; at += Set::lanes) {
      Set::keep(scores_ + at, bent<Set>(Set::load(scores_ + at), block_.softcap));
    }
  }

  // Scores of cells that are not looked at become minus infinity.
  void close(const Tile& tile) {
    if (tile.lookers != nullptr) {
      const std::uint64_t all = all_tokens<Set>(block_.tokens);
      const std::uint64_t heads = bits_of_heads<Set>(block_.tokens, block_.heads);
      for (int cell = 0; cell < tile.count; ++cell) {
        if (tile.lookers[cell] == all) continue;
        const std::uint64_t rows = tile.lookers[cell] * heads;
        float* scores = scores_ + cell * stride_;
        for (int row = 0; row < stride_; row += Set::lanes) {
          Set::keep(scores + row, Set::closed_unless(rows >> row, Set::load(scores + row)));
        }
      }
    }
    for (int at = tile.count * stride_; at < tile.padded * stride_; at += Set::lanes) {
      Set::keep(scores_ + at, Set::floats(minus_infinity));
    }
  }

  // Scores become weights, exp(score - largest); what was summed before is scaled to the new
  // largest.
  void weigh(const Tile& tile) {
    for (int row = 0; row < stride_; row += Set::lanes) {
      const auto before = Set::load(largest_ + row);
      auto largest = before;
      for (int cell = 0; cell < tile.count; ++cell) {
        largest = Set::larger(largest, Set::load(scores_ + cell * stride_ + row));
      }
      Set::keep(largest_ + row, largest);
      const auto base = Set::larger(Set::floats(lowest_base), largest);
      auto sum = Set::zeros();
      for (int cell = 0; cell < tile.padded; ++cell) {
        float* score = scores_ + cell * stride_ + row;
        const auto weight = exponential<Set>(Set::minus(Set::load(score), base));
        sum = Set::plus(sum, weight);
        Set::keep(score, weight);
      }
      const auto factor = exponential<Set>(Set::minus(before, base));
      Set::keep(sums_ + row, Set::multiply_add(Set::load(sums_ + row), factor, sum));
      for (int at = 0; at < block_.values.width; ++at) {
        float* value = values_ + at * stride_ + row;
        Set::keep(value, Set::multiply(Set::load(value), factor));
      }
    }
  }

  const AttentionBlock& block_;
  int rows_;
  int stride_;      // rows, filled up to whole registers
  float* queries_;  // [number][row], scaled
  float* values_;   // [number][row]
  float* scores_;   // [cell][row]
  float* wide_;     // [cell][number]: keys, then values of the tile
  float* largest_;  // [row]
  float* sums_;     // [row]
};

// Reads a cell where it lies.
template <class Set>
struct HalfCells {
  const CellRows* rows;
  const std::int32_t* cells;
  const std::byte* cell(int at) const {
    return rows->data + static_cast<std::size_t>(cells[at]) * rows->stride;
  }
  static typename Set::Floats load(const std::byte* cell, int at) {
    return Set::halves(cell + static_cast<std::size_t>(at) * 2, 0);
  }
};

// Reads a tile's cells that were widened before.
template <class Set>
struct WideCells {
  const float* data;
  int width;
  const float* cell(int at) const { return data + at * width; }
  static typename Set::Floats load(const float* cell, int at) { return Set::load(cell + at); }
};

template <class Set, int rows, class Cells>
void score(const Cells& cells, const Tile& tile, int width, const float* const* queries,
           float* scores) {
  for (int first = 0; first < tile.count; first += 4) {
    typename Set::Floats sums[rows][4];
    for (auto& row : sums) {
      for (auto& sum : row) sum = Set::zeros();
    }
    const auto* cell0 = cells.cell(first);
    const auto* cell1 = cells.cell(first + 1 < tile.count ? first + 1 : first);
    const auto* cell2 = cells.cell(first + 2 < tile.count ? first + 2 : first);
    const auto* cell3 = cells.cell(first + 3 < tile.count ? first + 3 : first);
    for (int at = 0; at < width; at += Set::lanes) {
      const typename Set::Floats keys[4] = {Cells::load(cell0, at), Cells::load(cell1, at),
                                            Cells::load(cell2, at), Cells::load(cell3, at)};
      for (int row = 0; row < rows; ++row) {
        const auto query = Set::load(queries[row] + at);
        for (int k = 0; k < 4; ++k) sums[row][k] = Set::multiply_add(query, keys[k], sums[row][k]);
      }
    }
    for (int row = 0; row < rows; ++row) {
      Set::sums_of_four(sums[row][0], sums[row][1], sums[row][2], sums[row][3],
                        scores + row * tile_cells + first);
    }
  }
}

template <class Set, int rows, int vectors, class Cells>
void add_values(const Cells& cells, const Tile& tile, int at, int width, const float* weights,
                const float* factors, float* values) {
  typename Set::Floats sums[rows][vectors];
  for (int row = 0; row < rows; ++row) {
    for (int v = 0; v < vectors; ++v) {
      sums[row][v] = Set::multiply(Set::load(values + row * width + at + v * Set::lanes),
                                   Set::floats(factors[row]));
    }
  }
  for (int number = 0; number < tile.count; ++number) {
    const auto* cell = cells.cell(number);
    typename Set::Floats value[vectors];
    for (int v = 0; v < vectors; ++v) value[v] = Cells::load(cell, at + v * Set::lanes);
    for (int row = 0; row < rows; ++row) {
      const auto weight = Set::floats(weights[row * tile_cells + number]);
      for (int v = 0; v < vectors; ++v) {
        sums[row][v] = Set::multiply_add(weight, value[v], sums[row][v]);
      }
    }
  }
  for (int row = 0; row < rows; ++row) {
    for (int v = 0; v < vectors; ++v) {
      Set::keep(values + row * width + at + v * Set::lanes, sums[row][v]);
    }
  }
}

template <class Set>
class FewRows {
 public:
  FewRows(const AttentionBlock& block, std::byte* scratch, const AttentionSums& out)
      : block_(block),
        out_(out),
        rows_(block.tokens * block.heads),
        scores_(reinterpret_cast<float*>(scratch)),
        queries_(scores_ + 4 * tile_cells),
        wide_(queries_ + attention_rows_max * block.keys.width) {}

  void begin() {
    for (int row = 0; row < rows_; ++row) {
      float* query = queries_ + row * block_.keys.width;
      for (int at = 0; at < block_.keys.width; at += Set::lanes) {
        Set::keep(query + at,
                  Set::multiply(Set::load(block_.queries[row] + at), Set::floats(block_.scale)));
      }
      scaled_[row] = query;
      out_.largest[row] = minus_infinity;
      out_.sums[row] = 0;
      float* values = out_.values + row * block_.values.width;
      for (int at = 0; at < block_.values.width; at += Set::lanes) {
        Set::keep(values + at, Set::zeros());
      }
    }
  }

  void add(const Tile& tile) {
    const bool halves = block_.keys.type == CellType::half && block_.values.type == CellType::half;
    float* wide_values = wide_ + tile_cells * block_.keys.width;
    if (halves) {
      for (int at = 0; at < tile.count; ++at) {
        fetch<Set>(block_.keys, tile, at + tile_cells);
        fetch<Set>(block_.values, tile, at + tile_cells);
      }
    } else {
      widen_tile<Set>(block_.keys, tile, wide_);
      widen_tile<Set>(block_.values, tile, wide_values);
    }
    for (int row = 0; row < rows_; row += 4) {
      const int rows = rows_ - row < 4 ? rows_ - row : 4;
      if (halves) {
        add_rows<4>(HalfCells<Set>{&block_.keys, tile.cells},
                    HalfCells<Set>{&block_.values, tile.cells}, tile, row, rows);
      } else {
        add_rows<4>(WideCells<Set>{wide_, block_.keys.width},
                    WideCells<Set>{wide_values, block_.values.width}, tile, row, rows);
      }
    }
  }

 private:
  template <int rows, class Cells>
  void add_rows(const Cells& keys, const Cells& values, const Tile& tile, int row, int wanted) {
    if constexpr (rows > 1) {
      if (wanted < rows) return add_rows<rows - 1>(keys, values, tile, row, wanted);
    }
    score<Set, rows>(keys, tile, block_.keys.width, scaled_ + row, scores_);
    float factors[rows];
    for (int at = 0; at < rows; ++at)
      factors[at] = weigh(tile, row + at, scores_ + at * tile_cells);
    const int width = block_.values.width;
    float* out = out_.values + row * width;
    int at = 0;
    for (; at + Set::value_vectors * Set::lanes <= width; at += Set::value_vectors * Set::lanes) {
      add_values<Set, rows, Set::value_vectors>(values, tile, at, width, scores_, factors, out);
    }
    for (; at < width; at += Set::lanes) {
      add_values<Set, rows, 1>(values, tile, at, width, scores_, factors, out);
    }
  }

  // Which of the tile's cells the row's token looks at.
  std::uint64_t open_to(const Tile& tile, int row) const {
    const std::uint64_t all = all_tokens<Set>(tile.count);
    if (tile.lookers == nullptr) return all;
    const int token = row % block_.tokens;
    std::uint64_t open = 0;
    for (int cell = 0; cell < tile.count; ++cell) {
      open |= (tile.lookers[cell] >> token & 1) << cell;
    }
    return open;
  }

  // Scores become weights; returns what the row's sums were multiplied with.
  float weigh(const Tile& tile, int row, float* scores) {
    const std::uint64_t open = open_to(tile, row);
    auto most = Set::floats(minus_infinity);
    for (int at = 0; at < tile.padded; at += Set::lanes) {
      auto score = Set::load(scores + at);
      if (block_.softcap != 0) score = bent<Set>(score, block_.softcap);
      score = Set::closed_unless(open >> at, score);
      most = Set::larger(most, score);
      Set::keep(scores + at, score);
    }
    const float before = out_.largest[row];
    const float now = Set::largest_of(most);
    const float largest = before > now ? before : now;
    const float base = largest < lowest_base ? lowest_base : largest;
    auto sum = Set::zeros();
    for (int at = 0; at < tile.padded; at += Set::lanes) {
      const auto weight = exponential<Set>(Set::minus(Set::load(scores + at), Set::floats(base)));
      sum = Set::plus(sum, weight);
      Set::keep(scores + at, weight);
    }
    float factor[Set::lanes];
    Set::keep(factor, exponential<Set>(Set::floats(before - base)));
    out_.largest[row] = largest;
    out_.sums[row] = out_.sums[row] * factor[0] + Set::sum_of(sum);
    return factor[0];
  }

  const AttentionBlock& block_;
  const AttentionSums& out_;
  int rows_;
  float* scores_;   // [4][tile_cells]
  float* queries_;  // [row][number], scaled
  float* wide_;     // [cell][number]: the tile's keys, then its values
  const float* scaled_[attention_rows_max];
};

template <class Set, class Visit>
void for_each_tile(const AttentionBlock& block, Visit& visit) {
  for (std::int64_t at = 0; at < block.cell_count; at += tile_cells) {
    const std::int64_t left = block.cell_count - at;
    const int count = left < tile_cells ? static_cast<int>(left) : tile_cells;
    visit.add({block.cells + at, block.lookers == nullptr ? nullptr : block.lookers + at, count,
               (count + 15) / 16 * 16, left});
  }
}

template <class Set>
void attend(const AttentionBlock& block, std::byte* scratch, const AttentionSums& out) {
  const int rows_together = block.together ? block.tokens * block.heads : block.heads;
  if (rows_together <= Set::few_rows) {
    FewRows<Set> rows(block, scratch, out);
    rows.begin();
    for_each_tile<Set>(block, rows);
  } else {
    ManyRows<Set> rows(block, scratch);
    rows.begin();
    for_each_tile<Set>(block, rows);
    rows.end(out);
  }
}

template <class Set>
bool finish(const AttentionSums& first, int parts, std::size_t stride, const float* sink, int width,
            float* out) {
  float largest = sink != nullptr ? *sink : lowest_base;
  for (int part = 0; part < parts; ++part) {
    const float here = first.largest[static_cast<std::size_t>(part) * stride];
    largest = here > largest ? here : largest;
  }
  const auto weight_of = [largest](float score) {
    float weight[Set::lanes];
    Set::keep(weight, exponential<Set>(Set::floats(score - largest)));
    return weight[0];
  };
  float sum = sink != nullptr ? weight_of(*sink) : 0;
  for (int part = 0; part < parts; ++part) {
    const std::size_t at = static_cast<std::size_t>(part) * stride;
    sum += first.sums[at] * weight_of(first.largest[at]);
  }
  const float inverse = sum == 0 ? 0 : 1 / sum;
  for (int part = 0; part < parts; ++part) {
    const std::size_t at = static_cast<std::size_t>(part) * stride;
    const auto factor = Set::floats(weight_of(first.largest[at]) * inverse);
    for (int number = 0; number < width; number += Set::lanes) {
      const auto before = part == 0 ? Set::zeros() : Set::load(out + number);
      Set::keep(out + number,
                Set::multiply_add(Set::load(first.values + at + number), factor, before));
    }
  }
  auto finite = Set::zeros();  // x - x is no number unless x is finite
  for (int number = 0; number < width; number += Set::lanes) {
    const auto value = Set::load(out + number);
    finite = Set::plus(finite, Set::minus(value, value));
  }
  return Set::sum_of(finite) == 0;
}

template <class Set>
bool open_cells(const std::uint16_t* mask, std::int64_t cells, std::uint64_t* open) {
  bool known = true;
  for (std::int64_t at = 0; at < cells; at += 64) open[at / 64] = Set::open_bits(mask + at, known);
  return known;
}

template <class Set>
AttentionKernels attention_kernels_of() {
  return {open_cells<Set>, attend<Set>, finish<Set>};
}

}  // namespace deepseek::kernels
