// AVX-512 with VNNI: sixteen rows of a group are the sixteen lanes of a register.
//
// For each block and column eight instructions multiply and add four columns of all rows each; the
// activation's four quants come from memory as one broadcast operand. Weights are unpacked once for
// all columns of the panel.
#ifdef __x86_64__
#include "kernels/attend.hpp"
#include "kernels/instruction_kernels.hpp"
#include "kernels/multiply.hpp"

#include <immintrin.h>

namespace deepseek::kernels {

namespace {

__m512i load(const std::byte* source) {
  return _mm512_loadu_si512(reinterpret_cast<const void*>(source));
}

__m128i load_bytes(const std::byte* source) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
}

// Those bits of `above` under the mask over `below`.
__m512i above_and_below(__m512i above, __m512i mask, __m512i below) {
  return _mm512_ternarylogic_epi32(above, mask, below, 0xEA);
}

// Shifts within sixteen bits; what comes over from the neighbouring byte is masked away.
__m512i shifted_left(__m512i bytes, int bits) {
  return bits >= 0 ? _mm512_slli_epi16(bytes, static_cast<unsigned>(bits))
                   : _mm512_srli_epi16(bytes, static_cast<unsigned>(-bits));
}

// Quants of a block by their bits: one step of sixteen rows. See pack.cpp for where they stand.
struct Bits4 {
  static constexpr std::size_t bytes = quants4_bytes;
  static constexpr bool zero_point_in_quants = true;
  static __m512i step(const std::byte* block, int step) {
    const __m512i pairs = load(block + step % (steps / 2) * 64);
    const __m512i mask = _mm512_set1_epi8(0x0F);
    return _mm512_and_si512(step < steps / 2 ? pairs : _mm512_srli_epi16(pairs, 4), mask);
  }
};
struct Bits5 {
  static constexpr std::size_t bytes = quants5_bytes;
  static constexpr bool zero_point_in_quants = true;
  static __m512i step(const std::byte* block, int step) {
    const __m512i fifths = shifted_left(load(block + Bits4::bytes), 4 - step);
    return above_and_below(fifths, _mm512_set1_epi8(0x10), Bits4::step(block, step));
  }
};
struct Bits6 {
  static constexpr std::size_t bytes = quants6_bytes;
  [[maybe_unused]] static constexpr bool zero_point_in_quants = true;
  static __m512i step(const std::byte* block, int step) {
    const __m512i four = load(block + Bits4::bytes + step / (steps / 2) * 64);
    const __m512i pairs = shifted_left(four, 4 - step % (steps / 2) * 2);
    return above_and_below(pairs, _mm512_set1_epi8(0x30), Bits4::step(block, step));
  }
};
struct Bits8 {
  static constexpr std::size_t bytes = quants8_bytes;
  static constexpr bool zero_point_in_quants = true;
  static __m512i step(const std::byte* block, int step) { return load(block + step * 64); }
};

struct Avx512 {
  using Floats = __m512;
  using Integers = __m512i;
  using Bits4 = kernels::Bits4;
  using Bits5 = kernels::Bits5;
  using Bits6 = kernels::Bits6;
  using Bits8 = kernels::Bits8;
  static constexpr int lanes = 16;
  static constexpr int width_max = panel_width;

  static Floats zeros() { return _mm512_setzero_ps(); }
  static Floats floats(float one) { return _mm512_set1_ps(one); }
  static Integers integers(std::int32_t one) { return _mm512_set1_epi32(one); }
  static Floats to_floats(Integers values) { return _mm512_cvtepi32_ps(values); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats subtract_product(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
  // All sixteen lanes begin at the first.
  static Floats halves(const std::byte* place, std::size_t) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(place)));
  }
  static Floats unsigned_bytes(const std::byte* place, std::size_t) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_bytes(place)));
  }
  static Floats signed_bytes(const std::byte* place, std::size_t) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_bytes(place)));
  }
  static void store(float* out, Floats values, std::int64_t rows) {
    const auto mask = static_cast<__mmask16>(rows >= lanes ? 0xFFFF : (1 << rows) - 1);
    _mm512_mask_storeu_ps(out, mask, values);
  }

  // Steps that share bytes go together, so that these are loaded once. All columns of a panel are
  // met at once: what stands between steps is the width.
  template <class Bits, int begin, int end, int width>
  static void add(Integers (&sums)[width], const std::byte* block, const std::int32_t* activations,
                  int) {
    constexpr bool pairs = end - begin == steps;
#pragma GCC unroll 8
    for (int number = begin; number < end; ++number) {
      const int step = pairs ? number / 2 + number % 2 * (steps / 2) : number;
      const __m512i weights = Bits::step(block, step);
      const std::int32_t* at = activations + step * width;
#pragma GCC unroll 8
      for (int column = 0; column < width; ++column) {
        sums[column] = _mm512_dpbusd_epi32(sums[column], weights, _mm512_set1_epi32(at[column]));
      }
    }
  }

  static float rounded_to_half(float value) {
    return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
  }
  static float largest(const float* values) {
    const __m512 low = _mm512_abs_ps(_mm512_loadu_ps(values));
    const __m512 high = _mm512_abs_ps(_mm512_loadu_ps(values + 16));
    return _mm512_reduce_max_ps(_mm512_max_ps(low, high));
  }
  // What is no number would become the smallest integer.
  static __m512i rounded(const float* values, __m512 inverse) {
    const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(values), inverse);
    return _mm512_max_epi32(_mm512_cvtps_epi32(scaled), _mm512_set1_epi32(-127));
  }
  static HalfSums quantize(const float* values, float inverse, std::int32_t* quants, int stride) {
    const __m512i first = rounded(values, _mm512_set1_ps(inverse));
    const __m512i second = rounded(values + 16, _mm512_set1_ps(inverse));
    alignas(16) std::int32_t packed[steps];
    _mm_store_si128(reinterpret_cast<__m128i*>(packed), _mm512_cvtepi32_epi8(first));
    _mm_store_si128(reinterpret_cast<__m128i*>(packed + 4), _mm512_cvtepi32_epi8(second));
    for (int step = 0; step < steps; ++step) quants[step * stride] = packed[step];
    return {_mm512_reduce_add_epi32(first), _mm512_reduce_add_epi32(second)};
  }

  static constexpr int tile_vectors = 4;
  static constexpr int tile_sums = 24;
  static constexpr int value_vectors = 4;
  static constexpr int few_rows = 12;
  static Floats load(const float* place) { return _mm512_loadu_ps(place); }
  static void keep(float* place, Floats values) { _mm512_storeu_ps(place, values); }
  static float half(const std::byte* place) {
    return _cvtsh_ss(*reinterpret_cast<const std::uint16_t*>(place));
  }
  static Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats minus(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats rounded_floats(Floats x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats times_power_of_two(Floats x, Floats whole) { return _mm512_scalef_ps(x, whole); }
  static Floats zero_below(Floats x, Floats limit, Floats values) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), values);
  }
  static Floats closed_unless(std::uint64_t bits, Floats values) {
    return _mm512_mask_mov_ps(_mm512_set1_ps(minus_infinity), static_cast<__mmask16>(bits), values);
  }
  static float sum_of(Floats values) { return _mm512_reduce_add_ps(values); }
  static float largest_of(Floats values) { return _mm512_reduce_max_ps(values); }
  static void sums_of_four(Floats a, Floats b, Floats c, Floats d, float* place) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 all =
        _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    _mm_storeu_ps(place, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
  }
  static std::uint64_t open_bits(const std::uint16_t* mask, bool& known) {
    std::uint64_t open = 0;
    for (int part = 0; part < 2; ++part) {
      const __m512i words = _mm512_loadu_si512(mask + part * 32);
      const __mmask32 here = _mm512_cmpneq_epi16_mask(words, _mm512_set1_epi16(closed_cell));
      known &= _mm512_mask_test_epi16_mask(here, words, _mm512_set1_epi16(0x7FFF)) == 0;
      open |= static_cast<std::uint64_t>(here) << part * 32;
    }
    return open;
  }
};

}  // namespace

Kernels avx512_kernels(Format format) {
  return kernels_of<Avx512>(format);
}

AttentionKernels avx512_attention() {
  return attention_kernels_of<Avx512>();
}

}  // namespace deepseek::kernels
#endif
