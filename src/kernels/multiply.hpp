// The products of every format, written once; the arithmetic is an instruction set's.
//
// Templates alone, over a type that is local to the file which includes this: each such file is
// compiled for another instruction set, and none may be linked to another's copy.
//
// A format is how its quants are unpacked (`Bits`, the set's own) and how they are scaled (below).
// `Set` has, beside what quantize.hpp asks for, registers of `lanes` rows and at most `width_max`
// columns at once:
//   Bits4, Bits5, Bits6, Bits8        with `bytes` of a block, and `zero_point_in_quants`: whether
//                                     the offset of signed quants is still to be added
//   add<Bits, begin, end>(sums, block, activations, stride)    steps [begin, end) of a block
//   halves, unsigned_bytes, signed_bytes(place)                one of each row, as floats
//   zeros, floats(one), integers(one), to_floats(integers), multiply(a, b),
//   multiply_add(a, b, c): a · b + c; subtract_product(a, b, c): c - a · b
//   store(place, floats, rows)
#pragma once

#include "kernels/quantize.hpp"

namespace deepseek::kernels {

// Where a unit's weights, and the activations that meet them, stand.
struct Place {
  const std::byte* quants;  // of the first lane
  const std::byte* scales;
  std::size_t lane;                 // the first
  const std::int32_t* activations;  // of the first column
  int stride;                       // between steps: the panel's width
  std::int64_t unit;
  int column;  // the first
};

// In a panel's table: of a unit, block or half block, and of a column from the place's first on.
template <class Set>
std::int64_t cell_of(const Place& at, std::int64_t row, int column) {
  return row * at.stride + at.column + column;
}

template <class Bits>  // the set's own
Place at_block(Place place, int block) {
  place.quants += static_cast<std::size_t>(block) * Bits::bytes;
  place.activations += block * steps * place.stride;
  return place;
}

// d · (q - zero point)
template <class Set, class Bits, int zero_point>
struct ScaleOnly {
  using Keep = KeepOffsets<zero_point>;
  using Quants = Bits;
  static constexpr UnitScales scales = scale_only;
  template <int width>
  static void add(typename Set::Floats (&totals)[width], const Place& at, const Panel& panel) {
    typename Set::Integers sums[width];
    for (int column = 0; column < width; ++column) {
      sums[column] = Set::integers(
          Bits::zero_point_in_quants ? panel.offsets[cell_of<Set>(at, at.unit, column)] : 0);
    }
    Set::template add<Bits, 0, steps>(sums, at.quants, at.activations, at.stride);
    const auto scale = Set::halves(at.scales, at.lane);
    for (int column = 0; column < width; ++column) {
      const auto both =
          Set::multiply(scale, Set::floats(panel.scales[cell_of<Set>(at, at.unit, column)]));
      totals[column] = Set::multiply_add(Set::to_floats(sums[column]), both, totals[column]);
    }
  }
};

// d · q + m
template <class Set, class Bits>
struct ScaleAndMinimum {
  using Keep = KeepSums;
  using Quants = Bits;
  static constexpr UnitScales scales = scale_and_minimum;
  template <int width>
  static void add(typename Set::Floats (&totals)[width], const Place& at, const Panel& panel) {
    typename Set::Integers sums[width];
    for (auto& sum : sums) sum = Set::integers(0);
    Set::template add<Bits, 0, steps>(sums, at.quants, at.activations, at.stride);
    const auto scale = Set::halves(at.scales, at.lane);
    const auto minimum = Set::halves(at.scales + group_rows * 2, at.lane);
    for (int column = 0; column < width; ++column) {
      const std::int64_t cell = cell_of<Set>(at, at.unit, column);
      const auto both = Set::multiply(scale, Set::floats(panel.scales[cell]));
      totals[column] = Set::multiply_add(Set::to_floats(sums[column]), both, totals[column]);
      totals[column] = Set::multiply_add(minimum, Set::floats(panel.sums[cell]), totals[column]);
    }
  }
};

// The sum of a unit's blocks, each with its scale, times the unit's.
template <class Set, int width>
void add_unit(typename Set::Floats (&totals)[width], const typename Set::Floats (&parts)[width],
              const Place& at, const Panel& panel) {
  const auto scale = Set::halves(at.scales, at.lane);
  for (int column = 0; column < width; ++column) {
    const auto both =
        Set::multiply(scale, Set::floats(panel.scales[cell_of<Set>(at, at.unit, column)]));
    totals[column] = Set::multiply_add(parts[column], both, totals[column]);
  }
}

// d · s · q - e · m
template <class Set, class Bits>
struct SuperMinimums {
  using Keep = KeepSuperSums;
  using Quants = Bits;
  static constexpr UnitScales scales = super_minimums;
  template <int width>
  static void add(typename Set::Floats (&totals)[width], const Place& at, const Panel& panel) {
    typename Set::Floats parts[width];
    for (auto& part : parts) part = Set::zeros();
    const auto minimums = Set::halves(at.scales + group_rows * 2, at.lane);
    const std::byte* factors = at.scales + scales.halves_bytes;
#pragma GCC unroll 1
    for (int block = 0; block < super_blocks; ++block) {
      const Place here = at_block<Bits>(at, block);
      typename Set::Integers sums[width];
      for (auto& sum : sums) sum = Set::integers(0);
      Set::template add<Bits, 0, steps>(sums, here.quants, here.activations, here.stride);
      const auto factor = Set::unsigned_bytes(factors + block * group_rows, at.lane);
      const auto minimum = Set::multiply(
          minimums, Set::unsigned_bytes(factors + (super_blocks + block) * group_rows, at.lane));
      for (int column = 0; column < width; ++column) {
        const std::int64_t cell = cell_of<Set>(at, at.unit * super_blocks + block, column);
        parts[column] = Set::multiply_add(Set::to_floats(sums[column]), factor, parts[column]);
        totals[column] =
            Set::subtract_product(minimum, Set::floats(panel.sums[cell]), totals[column]);
      }
    }
    add_unit<Set, width>(totals, parts, at, panel);
  }
};

// d · s · (q - zero point), s for half a block
template <class Set, class Bits, int zero_point>
struct SuperHalves {
  using Keep = KeepHalfOffsets<zero_point>;
  using Quants = Bits;
  static constexpr UnitScales scales = super_halves;
  template <int begin, int end, int width>
  static void add_half(typename Set::Floats (&parts)[width], const Place& here, std::int64_t half,
                       const std::byte* factors, const Panel& panel) {
    typename Set::Integers sums[width];
    for (int column = 0; column < width; ++column) {
      sums[column] = Set::integers(panel.offsets[cell_of<Set>(here, half, column)]);
    }
    Set::template add<Bits, begin, end>(sums, here.quants, here.activations, here.stride);
    const auto factor = Set::signed_bytes(factors, here.lane);
    for (int column = 0; column < width; ++column) {
      parts[column] = Set::multiply_add(Set::to_floats(sums[column]), factor, parts[column]);
    }
  }
  template <int width>
  static void add(typename Set::Floats (&totals)[width], const Place& at, const Panel& panel) {
    typename Set::Floats parts[width];
    for (auto& part : parts) part = Set::zeros();
    const std::byte* factors = at.scales + scales.halves_bytes;
#pragma GCC unroll 1
    for (int block = 0; block < super_blocks; ++block) {
      const Place here = at_block<Bits>(at, block);
      const std::int64_t half = (at.unit * super_blocks + block) * 2;
      add_half<0, steps / 2, width>(parts, here, half, factors, panel);
      add_half<steps / 2, steps, width>(parts, here, half + 1, factors + group_rows, panel);
      factors += 2 * group_rows;
    }
    add_unit<Set, width>(totals, parts, at, panel);
  }
};

// Some rows of one group with some columns of a panel.
template <class Set, class Weights, int width>
void multiply_part(Place at, const Panel& panel, float* const* out, std::int64_t row,
                   std::int64_t rows) {
  constexpr int unit_blocks = Weights::Keep::unit_blocks;
  typename Set::Floats totals[width];
  for (auto& total : totals) total = Set::zeros();
  const std::int64_t units = panel.blocks / unit_blocks;
  for (; at.unit < units; ++at.unit) {
    Weights::template add<width>(totals, at, panel);
    at.quants += unit_blocks * Weights::Quants::bytes;
    at.scales += Weights::scales.size;
    at.activations += unit_blocks * steps * at.stride;
  }
  for (int column = 0; column < width; ++column) {
    Set::store(out[at.column + column] + row, totals[column], rows);
  }
}

template <class Set, class Weights, int width>
void multiply_columns(const Place& at, const Panel& panel, float* const* out, std::int64_t row,
                      std::int64_t rows, int wanted) {
  if constexpr (width > 1) {
    if (wanted < width) {
      return multiply_columns<Set, Weights, width - 1>(at, panel, out, row, rows, wanted);
    }
  }
  multiply_part<Set, Weights, width>(at, panel, out, row, rows);
}

template <class Set, class Weights>
void multiply(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
              const Panel& panel, float* const* out) {
  const auto* activations = reinterpret_cast<const std::int32_t*>(panel.quants);
  const std::size_t quants_bytes = static_cast<std::size_t>(panel.blocks) * Weights::Quants::bytes;
  for (std::int64_t row = 0; row < rows; row += Set::lanes) {
    const std::byte* group = groups + static_cast<std::size_t>(row / group_rows) * group_bytes;
    const auto lane = static_cast<std::size_t>(row % group_rows);
    for (int column = 0; column < panel.width; column += Set::width_max) {
      const int left = panel.width - column;
      const int width = left < Set::width_max ? left : Set::width_max;
      const Place at{group + lane * 4,
                     group + quants_bytes,
                     lane,
                     activations + column,
                     panel.width,
                     0,
                     column};
      multiply_columns<Set, Weights, Set::width_max>(at, panel, out, row, rows - row, width);
    }
  }
}

template <class Set, class Weights>
Kernels kernels_for() {
  return {quantize<Set, typename Weights::Keep>, multiply<Set, Weights>};
}

template <class Set>
Kernels kernels_of(Format format) {
  using Bits4 = typename Set::Bits4;
  using Bits5 = typename Set::Bits5;
  switch (format) {
    case Format::q4_0:
      return kernels_for<Set, ScaleOnly<Set, Bits4, 8>>();
    case Format::q4_1:
      return kernels_for<Set, ScaleAndMinimum<Set, Bits4>>();
    case Format::q5_0:
      return kernels_for<Set, ScaleOnly<Set, Bits5, 16>>();
    case Format::q5_1:
      return kernels_for<Set, ScaleAndMinimum<Set, Bits5>>();
    case Format::q8_0:
      return kernels_for<Set, ScaleOnly<Set, typename Set::Bits8, 128>>();
    case Format::q4_k:
      return kernels_for<Set, SuperMinimums<Set, Bits4>>();
    case Format::q5_k:
      return kernels_for<Set, SuperMinimums<Set, Bits5>>();
    case Format::q6_k:
      return kernels_for<Set, SuperHalves<Set, typename Set::Bits6, 32>>();
  }
  return {};
}

}  // namespace deepseek::kernels
