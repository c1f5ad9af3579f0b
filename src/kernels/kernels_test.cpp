// Every kernel of every instruction set that this machine runs, against sums in double precision
// over the bytes of the file, and every quantizer against the reference, bit by bit.
#include "kernels/half.hpp"
#include "kernels/pack.hpp"
#include "kernels/product.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <random>
#include <vector>

namespace deepseek::kernels {
namespace {

struct Free {
  void operator()(std::byte* memory) const {
    ::operator delete[](memory, std::align_val_t(packed_alignment));
  }
};
using Packed = std::unique_ptr<std::byte[], Free>;

Packed allocate(std::size_t bytes) {
  return Packed(
      static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(packed_alignment))));
}

// Of one row, in the file: what keeps 32 or 256 columns together.
std::size_t unit_bytes(Format format) {
  return file_bytes(format, {1, unit_columns(format)});
}

enum class Blocks { random, zeros, extremes };

constexpr std::uint16_t half_max = 0x7BFF;
constexpr std::uint16_t half_min = 0xFBFF;
constexpr std::uint16_t half_tiny = 0x0001;

std::uint16_t a_half(Blocks blocks, std::mt19937& random) {
  if (blocks == Blocks::zeros) return random() % 2 == 0 ? 0x0000 : 0x8000;
  if (blocks == Blocks::extremes) {
    return std::array{half_max, half_min, half_tiny}[random() % 3];
  }
  return float_to_half(static_cast<float>(random() % 2000) / 1000.0F - 1.0F);
}

// Where half precision numbers stand in a unit, as ggml describes it.
std::vector<std::size_t> places_of_halves(Format format) {
  switch (format) {
    case Format::q4_0:
    case Format::q5_0:
    case Format::q8_0:
      return {0};
    case Format::q6_k:
      return {208};
    default:
      return {0, 2};
  }
}

std::vector<std::byte> make_file(Format format, Shape shape, Blocks blocks, std::mt19937& random) {
  std::vector<std::byte> file(file_bytes(format, shape));
  for (std::byte& byte : file) {
    byte = static_cast<std::byte>(blocks == Blocks::extremes ? (random() % 2) * 0x7F + 0x80
                                                             : random());
  }
  for (std::size_t unit = 0; unit < file.size(); unit += unit_bytes(format)) {
    for (const std::size_t place : places_of_halves(format)) {
      const std::uint16_t half = a_half(blocks, random);
      std::memcpy(file.data() + unit + place, &half, sizeof half);
    }
  }
  return file;
}

double half_in(const std::byte* place) {
  std::uint16_t half = 0;
  std::memcpy(&half, place, sizeof half);
  return half_to_float(half);
}

// scale · quant + minimum
struct Weight {
  double scale;
  int quant;
  double minimum;
};

int unsigned_at(const std::byte* bytes, int at) {
  return std::to_integer<int>(bytes[at]);
}

int nibble(const std::byte* bytes, int at, bool high) {
  return high ? unsigned_at(bytes, at) >> 4 : unsigned_at(bytes, at) & 15;
}

int bit(const std::byte* bytes, int at, int shift) {
  return unsigned_at(bytes, at) >> shift & 1;
}

// The scale (0) or minimum (1) of a block in Q4_K and Q5_K.
int six_bits(const std::byte* scales, int block, int which) {
  if (block < 4) return unsigned_at(scales, block + 4 * which) & 63;
  const int low = nibble(scales, block + 4, which == 1);
  return low | unsigned_at(scales, block - 4 + 4 * which) >> 6 << 4;
}

Weight super_minimum(const std::byte* unit, int at, bool fifth_bits) {
  const int block = at / 32;
  const std::byte* nibbles = unit + 16 + (fifth_bits ? 32 : 0);
  int quant = nibble(nibbles, block / 2 * 32 + at % 32, block % 2 == 1);
  if (fifth_bits) quant += 16 * bit(unit + 16, at % 32, block);
  return {half_in(unit) * six_bits(unit + 4, block, 0), quant,
          -half_in(unit + 2) * six_bits(unit + 4, block, 1)};
}

// In each half of 128 columns: nibbles of columns 0 to 63 low and 64 to 127 high.
Weight q6_k(const std::byte* unit, int at) {
  const int half = at / 128;
  const int within = at % 128;
  const int low = nibble(unit, half * 64 + within % 64, within >= 64);
  const int high = unsigned_at(unit, 128 + half * 32 + within % 32) >> (within / 32 * 2) & 3;
  const int scale = std::to_integer<std::int8_t>(unit[192 + at / 16]);
  return {half_in(unit + 208) * scale, (low | high << 4) - 32, 0};
}

// As ggml describes its blocks.
Weight weight_of(Format format, const std::byte* unit, int at) {
  const bool high = at >= 16;
  switch (format) {
    case Format::q4_0:
      return {half_in(unit), nibble(unit + 2, at % 16, high) - 8, 0};
    case Format::q4_1:
      return {half_in(unit), nibble(unit + 4, at % 16, high), half_in(unit + 2)};
    case Format::q5_0:
      return {half_in(unit),
              nibble(unit + 6, at % 16, high) + 16 * bit(unit + 2, at / 8, at % 8) - 16, 0};
    case Format::q5_1:
      return {half_in(unit), nibble(unit + 8, at % 16, high) + 16 * bit(unit + 4, at / 8, at % 8),
              half_in(unit + 2)};
    case Format::q8_0:
      return {half_in(unit), std::to_integer<std::int8_t>(unit[2 + at]), 0};
    case Format::q4_k:
      return super_minimum(unit, at, false);
    case Format::q5_k:
      return super_minimum(unit, at, true);
    case Format::q6_k:
      return q6_k(unit, at);
  }
  return {};
}

bool has_minimums(Format format) {
  return places_of_halves(format).size() == 2;
}

struct Activations {
  std::vector<std::vector<float>> values;
  std::vector<const float*> pointers;
  std::vector<std::byte> memory;
  Panel panel;
};

Activations make_activations(const Kernels& with, int width, std::int64_t columns,
                             std::mt19937& random) {
  Activations made;
  std::normal_distribution<float> normal(0, 3);
  for (int column = 0; column < width; ++column) {
    auto& values = made.values.emplace_back(static_cast<std::size_t>(columns));
    for (float& value : values) value = normal(random);
    if (column == 1) std::fill_n(values.begin(), block_columns, 0.0F);
    if (column == 2) values[0] = 6e4F;
  }
  for (const auto& values : made.values) made.pointers.push_back(values.data());
  made.memory.resize(panel_bytes(width, columns));  // with zeros: not all formats need all of it
  made.panel = panel_at(made.memory.data(), width, columns);
  with.quantize(made.pointers.data(), made.panel);
  return made;
}

int quant_of(const Panel& panel, std::int64_t block, int column, int at) {
  return panel.quants[((block * 8 + at / 4) * panel.width + column) * 4 + at % 4];
}

struct Exact {
  double sum = 0;
  double sizes = 0;  // of what was added
};

// `column` of the panel with half a block of a row, whose weights share scale and minimum.
void add_half_block(Format format, const std::byte* unit, int first, const Panel& panel,
                    std::int64_t block, int column, Exact& exact) {
  double products = 0;
  Weight weight{};
  for (int at = first; at < first + 16; ++at) {
    weight = weight_of(format, unit, at);
    products += weight.quant * quant_of(panel, block, column, at % 32);
  }
  const std::int64_t unit_blocks = unit_columns(format) / block_columns;
  const double scale = panel.scales[block / unit_blocks * panel.width + column];
  const double scaled = weight.scale * scale * products;
  exact.sum += scaled;
  exact.sizes += std::abs(scaled);
  if (!has_minimums(format)) return;
  if (first % 32 == 0) {  // once for the whole block
    const double least = weight.minimum * panel.sums[block * panel.width + column];
    exact.sum += least;
    exact.sizes += std::abs(least);
  }
}

Exact exact_product(Format format, const std::byte* row, const Panel& panel, int column) {
  Exact exact;
  for (std::int64_t block = 0; block < panel.blocks; ++block) {
    const std::int64_t begin = block * block_columns;
    const std::byte* unit =
        row + static_cast<std::size_t>(begin / unit_columns(format)) * unit_bytes(format);
    const auto first = static_cast<int>(begin % unit_columns(format));
    add_half_block(format, unit, first, panel, block, column, exact);
    add_half_block(format, unit, first + 16, panel, block, column, exact);
  }
  return exact;
}

void expect_products(InstructionSet set, Format format, Shape shape, int width, Blocks blocks) {
  SCOPED_TRACE(std::string(name(set)) + " " + std::string(name(format)) + " " +
               std::to_string(shape.rows) + "x" + std::to_string(shape.columns) + ", " +
               std::to_string(width) + " columns, blocks " +
               std::to_string(static_cast<int>(blocks)));
  std::mt19937 random(static_cast<unsigned>(shape.rows * 1000 + shape.columns + width));
  const auto file = make_file(format, shape, blocks, random);
  const Packed packed = allocate(packed_bytes(format, shape));
  ASSERT_TRUE(pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
  const Kernels with = kernels(set, format);
  const Activations activations = make_activations(with, width, shape.columns, random);
  // One float beyond the rows must stay as it is.
  std::vector<std::vector<float>> out(
      static_cast<std::size_t>(width),
      std::vector<float>(static_cast<std::size_t>(shape.rows) + 1, 77.0F));
  std::vector<float*> places;
  for (auto& column : out) places.push_back(column.data());
  with.multiply(packed.get(), group_bytes(format, shape.columns), shape.rows, activations.panel,
                places.data());
  const std::size_t row_bytes = file_bytes(format, {1, shape.columns});
  for (int column = 0; column < width; ++column) {
    const auto& got = out[static_cast<std::size_t>(column)];
    for (std::size_t row = 0; row < static_cast<std::size_t>(shape.rows); ++row) {
      const Exact exact =
          exact_product(format, file.data() + row * row_bytes, activations.panel, column);
      const double allowed = exact.sizes * 2e-6 + 1e-30;
      ASSERT_NEAR(got[row], exact.sum, allowed) << "row " << row << ", column " << column;
    }
    ASSERT_EQ(got.back(), 77.0F);
  }
}

constexpr std::int64_t columns_max = 1024;

TEST(Kernels, MultiplyEveryShapeAsDoublePrecisionDoes) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      for (const std::int64_t rows : {1, 7, 8, 9, 15, 16, 17, 31, 33, 48}) {
        for (const std::int64_t units : {1, 2, 3, 18}) {
          const std::int64_t columns = units * unit_columns(format);
          if (columns > columns_max) continue;
          for (int width = 1; width <= panel_width; ++width) {
            expect_products(set, format, {rows, columns}, width, Blocks::random);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST(Kernels, MultiplyZerosAndExtremes) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      for (const Blocks blocks : {Blocks::zeros, Blocks::extremes}) {
        for (int width = 1; width <= panel_width; ++width) {
          expect_products(set, format, {37, 5 * unit_columns(format)}, width, blocks);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Kernels, QuantizeAsTheReferenceDoes) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      for (int width = 1; width <= panel_width; ++width) {
        std::mt19937 random(5);
        const Activations expected =
            make_activations(kernels(InstructionSet::reference, format), width, 512, random);
        random.seed(5);
        const Activations got = make_activations(kernels(set, format), width, 512, random);
        ASSERT_EQ(got.memory, expected.memory) << name(set) << " " << name(format);
      }
    }
  }
}

// The largest weight in size that the format has with scales of one, and no minimum.
int fill_with_largest(Format format, std::vector<std::byte>& file) {
  std::fill(file.begin(), file.end(), std::byte{0xFF});
  const std::uint16_t one = float_to_half(1);
  for (std::size_t unit = 0; unit < file.size(); unit += unit_bytes(format)) {
    std::byte* at = file.data() + unit;
    for (const std::size_t place : places_of_halves(format)) {
      std::memset(at + place, 0, sizeof one);
    }
    std::memcpy(at + places_of_halves(format).front(), &one, sizeof one);
    if (format == Format::q8_0) std::memset(at + 2, 0x80, 32);
    if (format == Format::q6_k) std::memset(at + 192, 0x7F, 16);
  }
  switch (format) {
    case Format::q4_0:
      return 15 - 8;
    case Format::q4_1:
      return 15;
    case Format::q5_0:
      return 31 - 16;
    case Format::q5_1:
      return 31;
    case Format::q8_0:
      return -128;
    case Format::q4_k:
      return 15 * 63;
    case Format::q5_k:
      return 31 * 63;
    case Format::q6_k:
      return (63 - 32) * 127;
  }
  return 0;
}

TEST(Kernels, LargestActivationsDoNotOverflow) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      const Shape shape{16, 512};
      std::vector<std::byte> file(file_bytes(format, shape));
      const int weight = fill_with_largest(format, file);
      const Packed packed = allocate(packed_bytes(format, shape));
      ASSERT_TRUE(
          pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
      const Kernels with = kernels(set, format);
      const std::vector<float> ones(512, 1.0F);
      const float* in = ones.data();
      std::vector<std::byte> memory(panel_bytes(1, 512));
      const Panel panel = panel_at(memory.data(), 1, 512);
      with.quantize(&in, panel);
      std::vector<float> result(16);
      float* out = result.data();
      with.multiply(packed.get(), group_bytes(format, 512), 16, panel, &out);
      // Each of 512 quants is 127.
      const double expected = 512.0 * weight * 127 * panel.scales[0];
      ASSERT_NEAR(panel.scales[0], 1.0 / 127, 1e-5);
      for (const float got : result) {
        ASSERT_NEAR(got, expected, std::abs(expected) * 1e-6) << name(set) << " " << name(format);
      }
    }
  }
}

// Whatever else is in the panel, a column's products are the same to the last bit.
TEST(Kernels, AColumnDoesNotDependOnItsCompany) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      const Shape shape{32, 768};
      std::mt19937 random(11);
      const auto file = make_file(format, shape, Blocks::random, random);
      const Packed packed = allocate(packed_bytes(format, shape));
      ASSERT_TRUE(
          pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
      const Kernels with = kernels(set, format);
      std::vector<float> alone;
      for (int width = 1; width <= panel_width; ++width) {
        random.seed(12);  // the first column is always the same
        const Activations activations = make_activations(with, width, shape.columns, random);
        std::vector<std::vector<float>> out(static_cast<std::size_t>(width),
                                            std::vector<float>(32));
        std::vector<float*> places;
        for (auto& column : out) places.push_back(column.data());
        with.multiply(packed.get(), group_bytes(format, shape.columns), shape.rows,
                      activations.panel, places.data());
        if (width == 1) alone = out[0];
        ASSERT_EQ(out[0], alone) << name(set) << " " << name(format) << " " << width;
      }
    }
  }
}

TEST(Kernels, NumbersThatAreNoneDisturbNoOtherColumn) {
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  const float endless = std::numeric_limits<float>::infinity();
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      const Shape shape{16, 512};
      std::mt19937 random(3);
      const auto file = make_file(format, shape, Blocks::random, random);
      const Packed packed = allocate(packed_bytes(format, shape));
      ASSERT_TRUE(
          pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
      const Kernels with = kernels(set, format);
      std::vector<float> values(512 * 3, 0.5F);
      values[3] = no_number;
      values[512 + 40] = endless;
      const std::array<const float*, 3> in = {&values[0], &values[512], &values[1024]};
      std::vector<float> results(16 * 4);
      const std::array<float*, 3> out = {&results[0], &results[16], &results[32]};
      std::vector<std::byte> memory(panel_bytes(3, 512));
      const Panel three = panel_at(memory.data(), 3, 512);
      with.quantize(in.data(), three);
      with.multiply(packed.get(), group_bytes(format, 512), 16, three, out.data());
      const Panel one = panel_at(memory.data(), 1, 512);
      float* alone = &results[48];
      with.quantize(&in[2], one);
      with.multiply(packed.get(), group_bytes(format, 512), 16, one, &alone);
      for (std::size_t row = 0; row < 16; ++row) {
        ASSERT_EQ(results[32U + row], results[48U + row]) << name(set) << ", row " << row;
      }
    }
  }
}

TEST(Pack, RefusesScalesThatAreNotFinite) {
  for (const Format format : formats) {
    for (const std::size_t place : places_of_halves(format)) {
      for (const std::uint16_t half : {0x7C00, 0xFC00, 0x7E00, 0x7C01}) {
        const std::int64_t columns = unit_columns(format);
        const Shape shape{20, 3 * columns};
        std::mt19937 random(1);
        auto file = make_file(format, shape, Blocks::random, random);
        const std::size_t at = (5 * 3 + 2) * unit_bytes(format) + place;
        std::memcpy(file.data() + at, &half, sizeof half);
        const Packed packed = allocate(packed_bytes(format, shape));
        const auto result = pack(format, shape, file, {packed.get(), packed_bytes(format, shape)});
        ASSERT_TRUE(result.has_error()) << name(format);
        EXPECT_EQ(result.error().message, "row 5 has a scale that is not finite in columns " +
                                              std::to_string(2 * columns) + " to " +
                                              std::to_string(3 * columns - 1));
      }
    }
  }
}

TEST(Pack, TakesWholeBlocksOnly) {
  EXPECT_TRUE(can_pack(Format::q4_1, {1, 32}));
  EXPECT_FALSE(can_pack(Format::q4_1, {1, 33}));
  EXPECT_FALSE(can_pack(Format::q8_0, {0, 32}));
  EXPECT_FALSE(can_pack(Format::q8_0, {4, 0}));
  EXPECT_TRUE(can_pack(Format::q6_k, {3, 512}));
  EXPECT_FALSE(can_pack(Format::q6_k, {3, 544}));
}

TEST(Half, EveryHalfSurvivesTheWayThereAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (!is_finite_half(half)) continue;
    ASSERT_EQ(float_to_half(half_to_float(half)), half) << bits;
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(float_to_half(1.0F + 1.0F / 2048), 0x3C00);  // half a step: to even
  EXPECT_EQ(float_to_half(1.0F + 3.0F / 2048), 0x3C02);  // one and a half: to even
  EXPECT_EQ(float_to_half(1.0F + 1.1F / 2048), 0x3C01);
  EXPECT_EQ(float_to_half(65504.0F), half_max);
  EXPECT_EQ(float_to_half(65519.0F), half_max);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_half(std::ldexp(1.0F, -25)), 0x0000);
  EXPECT_EQ(float_to_half(std::ldexp(1.5F, -25)), 0x0001);
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(InstructionSets, HaveNamesAndTheReferenceIsAlwaysThere) {
  const auto sets = instruction_sets_of_this_machine();
  ASSERT_FALSE(sets.empty());
  EXPECT_EQ(sets.front(), InstructionSet::reference);
  for (const auto set : sets) EXPECT_EQ(instruction_set(name(set)), set);
  EXPECT_FALSE(instruction_set("mmx").has_value());
}

}  // namespace
}  // namespace deepseek::kernels
