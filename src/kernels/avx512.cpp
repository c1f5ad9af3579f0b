// AVX-512 with VNNI: sixteen rows of a group are the sixteen lanes of a register.
//
// For each block and column eight instructions multiply and add four columns of all rows each; the
// activation's four quants come from memory as one broadcast operand. Weights are unpacked once for
// all columns of the panel.
#ifdef __x86_64__
#include "kernels/instruction_kernels.hpp"

#include <immintrin.h>

namespace deepseek::kernels {

namespace {

constexpr int steps = block_columns / 4;  // of four columns

float rounded_to_half(float value) {
  return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
}

__m512 halves(const std::byte* source) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(source)));
}

__m512i bytes(const std::byte* source) {
  return _mm512_loadu_si512(reinterpret_cast<const void*>(source));
}

template <int width>
void add_step(__m512i (&sums)[width], __m512i weights, const std::int32_t* quants) {
  for (int column = 0; column < width; ++column) {
    sums[column] = _mm512_dpbusd_epi32(sums[column], weights, _mm512_set1_epi32(quants[column]));
  }
}

struct Q4_1 : Q4_1Block {
  static void keep_sum(const Panel& panel, std::int64_t cell, float scale, std::int32_t sum) {
    panel.sums[cell] = rounded_to_half(scale * static_cast<float>(sum));
  }
  template <int width>
  static void start(__m512i (&sums)[width], const Panel&, std::int64_t) {
    for (auto& sum : sums) sum = _mm512_setzero_si512();
  }
  template <int width>
  static void add(__m512i (&sums)[width], const std::byte* weights, const std::int32_t* quants) {
    const __m512i mask = _mm512_set1_epi8(0x0F);
    for (int step = 0; step < steps / 2; ++step) {
      const __m512i pairs = bytes(weights + step * 64);
      add_step<width>(sums, _mm512_and_si512(pairs, mask), quants + step * width);
      add_step<width>(sums, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), mask),
                      quants + (step + steps / 2) * width);
    }
  }
  template <int width>
  static void finish(__m512 (&totals)[width], const __m512i (&sums)[width], const std::byte* scales,
                     const Panel& panel, std::int64_t block) {
    const __m512 scale = halves(scales);
    const __m512 minimum = halves(scales + 32);
    for (int column = 0; column < width; ++column) {
      const std::int64_t cell = block * width + column;
      const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(panel.scales[cell]));
      totals[column] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[column]), both, totals[column]);
      totals[column] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(panel.sums[cell]), totals[column]);
    }
  }
};

struct Q8_0 : Q8_0Block {
  static void keep_sum(const Panel& panel, std::int64_t cell, float, std::int32_t sum) {
    panel.offsets[cell] = -zero_point * sum;
  }
  template <int width>
  static void start(__m512i (&sums)[width], const Panel& panel, std::int64_t block) {
    for (int column = 0; column < width; ++column) {
      sums[column] = _mm512_set1_epi32(panel.offsets[block * width + column]);
    }
  }
  template <int width>
  static void add(__m512i (&sums)[width], const std::byte* weights, const std::int32_t* quants) {
    for (int step = 0; step < steps; ++step) {
      add_step<width>(sums, bytes(weights + step * 64), quants + step * width);
    }
  }
  template <int width>
  static void finish(__m512 (&totals)[width], const __m512i (&sums)[width], const std::byte* scales,
                     const Panel& panel, std::int64_t block) {
    const __m512 scale = halves(scales);
    for (int column = 0; column < width; ++column) {
      const __m512 both =
          _mm512_mul_ps(scale, _mm512_set1_ps(panel.scales[block * width + column]));
      totals[column] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[column]), both, totals[column]);
    }
  }
};

template <class Weights, int width>
void multiply_group(const std::byte* group, const Panel& panel, float* const* out, std::int64_t row,
                    __mmask16 rows) {
  __m512 totals[width];
  for (auto& total : totals) total = _mm512_setzero_ps();
  const auto* quants = reinterpret_cast<const std::int32_t*>(panel.quants);
  const std::byte* scales = group + static_cast<std::size_t>(panel.blocks) * Weights::quant_bytes;
  for (std::int64_t block = 0; block < panel.blocks; ++block) {
    __m512i sums[width];
    Weights::template start<width>(sums, panel, block);
    Weights::template add<width>(sums, group, quants);
    Weights::template finish<width>(totals, sums, scales, panel, block);
    group += Weights::quant_bytes;
    scales += Weights::scale_bytes;
    quants += steps * width;
  }
  for (int column = 0; column < width; ++column) {
    _mm512_mask_storeu_ps(out[column] + row, rows, totals[column]);
  }
}

template <class Weights, int width>
void multiply_panel(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
                    const Panel& panel, float* const* out) {
  for (std::int64_t row = 0; row < rows; row += group_rows) {
    const std::int64_t left = rows - row;
    const auto mask = static_cast<__mmask16>(left >= group_rows ? 0xFFFF : (1 << left) - 1);
    multiply_group<Weights, width>(groups, panel, out, row, mask);
    groups += group_bytes;
  }
}

template <class Weights>
void multiply(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
              const Panel& panel, float* const* out) {
  using Function = decltype(&multiply_panel<Weights, 1>);
  static constexpr Function by_width[panel_width] = {
      multiply_panel<Weights, 1>, multiply_panel<Weights, 2>, multiply_panel<Weights, 3>,
      multiply_panel<Weights, 4>, multiply_panel<Weights, 5>, multiply_panel<Weights, 6>,
      multiply_panel<Weights, 7>, multiply_panel<Weights, 8>};
  by_width[panel.width - 1](groups, group_bytes, rows, panel, out);
}

// Thirty-two values as quants; returns their sum, and the scale before it is rounded.
std::int32_t quantize_block(const float* values, std::int32_t* quants, int width, float& scale) {
  const __m512 low = _mm512_loadu_ps(values);
  const __m512 high = _mm512_loadu_ps(values + 16);
  const float largest =
      _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
  scale = largest / 127.0F;
  const __m512 inverse = _mm512_set1_ps(largest != 0 ? 127.0F / largest : 0.0F);
  // What is no number would become the smallest integer.
  const __m512i least = _mm512_set1_epi32(-127);
  const __m512i rounded_low =
      _mm512_max_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)), least);
  const __m512i rounded_high =
      _mm512_max_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)), least);
  alignas(16) std::int32_t packed[steps];
  _mm_store_si128(reinterpret_cast<__m128i*>(packed), _mm512_cvtepi32_epi8(rounded_low));
  _mm_store_si128(reinterpret_cast<__m128i*>(packed + 4), _mm512_cvtepi32_epi8(rounded_high));
  for (int step = 0; step < steps; ++step) quants[step * width] = packed[step];
  return _mm512_reduce_add_epi32(_mm512_add_epi32(rounded_low, rounded_high));
}

template <class Weights>
void quantize(const float* const* columns, const Panel& panel) {
  auto* quants = reinterpret_cast<std::int32_t*>(panel.quants);
  for (int column = 0; column < panel.width; ++column) {
    for (std::int64_t block = 0; block < panel.blocks; ++block) {
      const std::int64_t cell = block * panel.width + column;
      float scale = 0;
      const std::int32_t sum =
          quantize_block(columns[column] + block * block_columns,
                         quants + block * steps * panel.width + column, panel.width, scale);
      panel.scales[cell] = rounded_to_half(scale);
      Weights::keep_sum(panel, cell, scale, sum);
    }
  }
}

}  // namespace

Kernels avx512_kernels(Format format) {
  switch (format) {
    case Format::q4_1:
      return {quantize<Q4_1>, multiply<Q4_1>};
    case Format::q8_0:
      return {quantize<Q8_0>, multiply<Q8_0>};
  }
  return {};
}

}  // namespace deepseek::kernels
#endif
