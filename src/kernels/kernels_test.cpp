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

std::size_t block_bytes(Format format) {
  return file_bytes(format, {1, block_columns});
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

std::vector<std::byte> make_file(Format format, Shape shape, Blocks blocks, std::mt19937& random) {
  std::vector<std::byte> file(file_bytes(format, shape));
  for (std::byte& byte : file) {
    byte = static_cast<std::byte>(blocks == Blocks::extremes ? (random() % 2) * 0x7F + 0x80
                                                             : random());
  }
  const std::size_t scales = format == Format::q4_1 ? 2 : 1;
  for (std::size_t block = 0; block < file.size(); block += block_bytes(format)) {
    for (std::size_t scale = 0; scale < scales; ++scale) {
      const std::uint16_t half = a_half(blocks, random);
      std::memcpy(file.data() + block + scale * sizeof half, &half, sizeof half);
    }
  }
  return file;
}

float half_in(const std::byte* place) {
  std::uint16_t half = 0;
  std::memcpy(&half, place, sizeof half);
  return half_to_float(half);
}

struct Weight {
  double scale;
  int quant;
  double minimum;
};

// As ggml describes its blocks.
Weight weight_of(Format format, const std::byte* block, int at) {
  if (format == Format::q8_0) {
    return {half_in(block), std::to_integer<std::int8_t>(block[2 + at]), 0};
  }
  const auto pair = std::to_integer<int>(block[4 + at % 16]);
  return {half_in(block), at < 16 ? pair & 15 : pair >> 4, half_in(block + 2)};
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
  made.memory.resize(panel_bytes(width, columns));
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

Exact exact_product(Format format, const std::byte* row, const Panel& panel, int column) {
  Exact exact;
  for (std::int64_t block = 0; block < panel.blocks; ++block) {
    const std::byte* bytes = row + static_cast<std::size_t>(block) * block_bytes(format);
    double products = 0;
    Weight weight{};
    for (int at = 0; at < block_columns; ++at) {
      weight = weight_of(format, bytes, at);
      products += weight.quant * quant_of(panel, block, column, at);
    }
    const auto cell = static_cast<std::size_t>(block * panel.width + column);
    const double scaled = weight.scale * panel.scales[cell] * products;
    const double least = format == Format::q4_1 ? weight.minimum * panel.sums[cell] : 0;
    exact.sum += scaled + least;
    exact.sizes += std::abs(scaled) + std::abs(least);
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
      const double allowed = exact.sizes * 1e-6 + 1e-30;
      ASSERT_NEAR(got[row], exact.sum, allowed) << "row " << row << ", column " << column;
    }
    ASSERT_EQ(got.back(), 77.0F);
  }
}

TEST(Kernels, MultiplyEveryShapeAsDoublePrecisionDoes) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      for (const std::int64_t rows : {1, 7, 8, 9, 15, 16, 17, 31, 33, 48}) {
        for (const std::int64_t columns : {32, 64, 96, 576}) {
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
          expect_products(set, format, {37, 160}, width, blocks);
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
            make_activations(kernels(InstructionSet::reference, format), width, 320, random);
        random.seed(5);
        const Activations got = make_activations(kernels(set, format), width, 320, random);
        ASSERT_EQ(got.memory, expected.memory) << name(set) << " " << name(format);
      }
    }
  }
}

TEST(Kernels, LargestActivationsDoNotOverflow) {
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      const Shape shape{16, 64};
      std::vector<std::byte> file(file_bytes(format, shape), std::byte{0xFF});
      if (format == Format::q8_0) std::fill(file.begin(), file.end(), std::byte{0x80});
      const std::uint16_t one = float_to_half(1);
      for (std::size_t block = 0; block < file.size(); block += block_bytes(format)) {
        std::memcpy(file.data() + block, &one, sizeof one);
        if (format == Format::q4_1) std::memset(file.data() + block + 2, 0, 2);
      }
      const Packed packed = allocate(packed_bytes(format, shape));
      ASSERT_TRUE(
          pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
      const Kernels with = kernels(set, format);
      const std::vector<float> ones(64, 1.0F);
      const float* in = ones.data();
      std::vector<std::byte> memory(panel_bytes(1, 64));
      const Panel panel = panel_at(memory.data(), 1, 64);
      with.quantize(&in, panel);
      std::vector<float> result(16);
      float* out = result.data();
      with.multiply(packed.get(), group_bytes(format, 64), 16, panel, &out);
      // Sixty-four quants, each the largest, times 127 times its scale.
      const double quant = format == Format::q4_1 ? 15 : -128;
      const double expected = 64 * quant * 127 * half_to_float(float_to_half(1.0F / 127.0F));
      for (const float got : result) ASSERT_NEAR(got, expected, 1e-3) << name(set);
    }
  }
}

TEST(Kernels, NumbersThatAreNoneDisturbNoOtherColumn) {
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  const float endless = std::numeric_limits<float>::infinity();
  for (const InstructionSet set : instruction_sets_of_this_machine()) {
    for (const Format format : formats) {
      const Shape shape{16, 64};
      std::mt19937 random(3);
      const auto file = make_file(format, shape, Blocks::random, random);
      const Packed packed = allocate(packed_bytes(format, shape));
      ASSERT_TRUE(
          pack(format, shape, file, {packed.get(), packed_bytes(format, shape)}).has_value());
      const Kernels with = kernels(set, format);
      std::vector<float> values(64 * 3, 0.5F);
      values[3] = no_number;
      values[64 + 40] = endless;
      const std::array<const float*, 3> in = {&values[0], &values[64], &values[128]};
      std::vector<float> results(16 * 4);
      const std::array<float*, 3> out = {&results[0], &results[16], &results[32]};
      std::vector<std::byte> memory(panel_bytes(3, 64));
      const Panel three = panel_at(memory.data(), 3, 64);
      with.quantize(in.data(), three);
      with.multiply(packed.get(), group_bytes(format, 64), 16, three, out.data());
      const Panel one = panel_at(memory.data(), 1, 64);
      float* alone = &results[48];
      with.quantize(&in[2], one);
      with.multiply(packed.get(), group_bytes(format, 64), 16, one, &alone);
      for (std::size_t row = 0; row < 16; ++row) {
        ASSERT_EQ(results[32U + row], results[48U + row]) << name(set) << ", row " << row;
      }
    }
  }
}

TEST(Pack, RefusesScalesThatAreNotFinite) {
  for (const Format format : formats) {
    for (const std::uint16_t half : {0x7C00, 0xFC00, 0x7E00, 0x7C01}) {
      const Shape shape{20, 96};
      std::mt19937 random(1);
      auto file = make_file(format, shape, Blocks::random, random);
      const std::size_t at = 5 * file_bytes(format, {1, 96}) + 2 * block_bytes(format);
      std::memcpy(file.data() + at, &half, sizeof half);
      const Packed packed = allocate(packed_bytes(format, shape));
      const auto result = pack(format, shape, file, {packed.get(), packed_bytes(format, shape)});
      ASSERT_TRUE(result.has_error());
      EXPECT_EQ(result.error().message, "row 5 has a scale that is not finite in columns 64 to 95");
    }
  }
}

TEST(Pack, TakesWholeBlocksOnly) {
  EXPECT_TRUE(can_pack(Format::q4_1, {1, 32}));
  EXPECT_FALSE(can_pack(Format::q4_1, {1, 33}));
  EXPECT_FALSE(can_pack(Format::q8_0, {0, 32}));
  EXPECT_FALSE(can_pack(Format::q8_0, {4, 0}));
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
