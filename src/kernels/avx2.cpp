// AVX2: eight rows of a group are the eight lanes of a register, so a group takes two passes, and a
// panel of more than four columns two more.
#ifdef __x86_64__
#include "kernels/instruction_kernels.hpp"

#include <immintrin.h>

namespace deepseek::kernels {

namespace {

constexpr int steps = block_columns / 4;  // of four columns
constexpr int lanes = 8;
constexpr int width_max = 4;

float rounded_to_half(float value) {
  return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
}

__m256 halves(const std::byte* source) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(source)));
}

__m256i bytes(const std::byte* source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
}

// A part of a group (lanes 0 to 7 or 8 to 15) and of a panel (some of its columns).
struct Part {
  const std::byte* quants;
  const std::byte* scales;
  const std::int32_t* activations;
  int stride;  // the panel's width
  int column;  // the first of the part's
};

struct Q4_1 : Q4_1Block {
  static void keep_sum(const Panel& panel, std::int64_t cell, float scale, std::int32_t sum) {
    panel.sums[cell] = rounded_to_half(scale * static_cast<float>(sum));
  }
  // Products of at most 15 · 127 twice, eight times: within sixteen bits.
  template <int width>
  static void add(__m256i (&sums)[width], const Part& part) {
    __m256i pairs_of_sums[width];
    for (auto& sum : pairs_of_sums) sum = _mm256_setzero_si256();
    const __m256i mask = _mm256_set1_epi8(0x0F);
    for (int step = 0; step < steps / 2; ++step) {
      const __m256i pairs = bytes(part.quants + step * 64);
      const __m256i low = _mm256_and_si256(pairs, mask);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask);
      const std::int32_t* at_low = part.activations + step * part.stride;
      const std::int32_t* at_high = at_low + steps / 2 * part.stride;
      for (int column = 0; column < width; ++column) {
        const __m256i first = _mm256_maddubs_epi16(low, _mm256_set1_epi32(at_low[column]));
        const __m256i second = _mm256_maddubs_epi16(high, _mm256_set1_epi32(at_high[column]));
        pairs_of_sums[column] =
            _mm256_add_epi16(pairs_of_sums[column], _mm256_add_epi16(first, second));
      }
    }
    for (int column = 0; column < width; ++column) {
      sums[column] = _mm256_madd_epi16(pairs_of_sums[column], _mm256_set1_epi16(1));
    }
  }
  template <int width>
  static void finish(__m256 (&totals)[width], const __m256i (&sums)[width], const Part& part,
                     const Panel& panel, std::int64_t block) {
    const __m256 scale = halves(part.scales);
    const __m256 minimum = halves(part.scales + 32);
    for (int column = 0; column < width; ++column) {
      const std::int64_t cell = block * part.stride + part.column + column;
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(panel.scales[cell]));
      totals[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[column]), both, totals[column]);
      totals[column] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(panel.sums[cell]), totals[column]);
    }
  }
};

struct Q8_0 : Q8_0Block {
  static void keep_sum(const Panel& panel, std::int64_t cell, float, std::int32_t sum) {
    panel.offsets[cell] = -zero_point * sum;
  }
  // |weight| · (activation with the weight's sign): at most 128 · 127 twice, within sixteen bits.
  template <int width>
  static void add(__m256i (&sums)[width], const Part& part) {
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    const __m256i flip = _mm256_set1_epi8(static_cast<char>(zero_point));
    for (int step = 0; step < steps; ++step) {
      const __m256i weights = _mm256_xor_si256(bytes(part.quants + step * 64), flip);
      const __m256i sizes = _mm256_abs_epi8(weights);
      const std::int32_t* at = part.activations + step * part.stride;
      for (int column = 0; column < width; ++column) {
        const __m256i turned = _mm256_sign_epi8(_mm256_set1_epi32(at[column]), weights);
        const __m256i products = _mm256_maddubs_epi16(sizes, turned);
        sums[column] =
            _mm256_add_epi32(sums[column], _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
      }
    }
  }
  template <int width>
  static void finish(__m256 (&totals)[width], const __m256i (&sums)[width], const Part& part,
                     const Panel& panel, std::int64_t block) {
    const __m256 scale = halves(part.scales);
    for (int column = 0; column < width; ++column) {
      const std::int64_t cell = block * part.stride + part.column + column;
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(panel.scales[cell]));
      totals[column] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[column]), both, totals[column]);
    }
  }
};

void store(float* out, __m256 values, std::int64_t rows) {
  if (rows >= lanes) return _mm256_storeu_ps(out, values);
  alignas(32) float all[lanes];
  _mm256_store_ps(all, values);
  for (std::int64_t row = 0; row < rows; ++row) out[row] = all[row];
}

template <class Weights, int width>
void multiply_part(Part part, const Panel& panel, float* const* out, std::int64_t row,
                   std::int64_t rows) {
  __m256 totals[width];
  for (auto& total : totals) total = _mm256_setzero_ps();
  for (std::int64_t block = 0; block < panel.blocks; ++block) {
    __m256i sums[width];
    Weights::template add<width>(sums, part);
    Weights::template finish<width>(totals, sums, part, panel, block);
    part.quants += Weights::quant_bytes;
    part.scales += Weights::scale_bytes;
    part.activations += steps * part.stride;
  }
  for (int column = 0; column < width; ++column) {
    store(out[part.column + column] + row, totals[column], rows);
  }
}

template <class Weights>
void multiply(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
              const Panel& panel, float* const* out) {
  using Function = decltype(&multiply_part<Weights, 1>);
  static constexpr Function by_width[width_max] = {
      multiply_part<Weights, 1>, multiply_part<Weights, 2>, multiply_part<Weights, 3>,
      multiply_part<Weights, 4>};
  const auto* activations = reinterpret_cast<const std::int32_t*>(panel.quants);
  for (std::int64_t row = 0; row < rows; row += lanes) {
    const std::byte* group = groups + static_cast<std::size_t>(row / group_rows) * group_bytes;
    const std::size_t half = static_cast<std::size_t>(row % group_rows) / lanes;
    const std::byte* scales =
        group + static_cast<std::size_t>(panel.blocks) * Weights::quant_bytes + half * 16;
    for (int column = 0; column < panel.width; column += width_max) {
      const int width = panel.width - column < width_max ? panel.width - column : width_max;
      const Part part{group + half * 32, scales, activations + column, panel.width, column};
      by_width[width - 1](part, panel, out, row, rows - row);
    }
  }
}

float largest_of(__m256 values) {
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

// Thirty-two values as quants; returns their sum, and the scale before it is rounded.
std::int32_t quantize_block(const float* values, std::int32_t* quants, int width, float& scale) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  __m256 most = _mm256_setzero_ps();
  for (int at = 0; at < block_columns; at += lanes) {
    most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(values + at)));
  }
  const float largest = largest_of(most);
  scale = largest / 127.0F;
  const __m256 inverse = _mm256_set1_ps(largest != 0 ? 127.0F / largest : 0.0F);
  __m256i added = _mm256_setzero_si256();
  for (int at = 0; at < block_columns; at += lanes) {
    // What is no number would become the smallest integer.
    const __m256i rounded =
        _mm256_max_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(values + at), inverse)),
                         _mm256_set1_epi32(-127));
    added = _mm256_add_epi32(added, rounded);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    const __m128i packed = _mm_packs_epi16(words, words);
    quants[at / 4 * width] = _mm_extract_epi32(packed, 0);
    quants[(at / 4 + 1) * width] = _mm_extract_epi32(packed, 1);
  }
  alignas(32) std::int32_t parts[lanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(parts), added);
  std::int32_t sum = 0;
  for (const std::int32_t part : parts) sum += part;
  return sum;
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

Kernels avx2_kernels(Format format) {
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
