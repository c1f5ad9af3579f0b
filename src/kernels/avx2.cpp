// AVX2: eight rows of a group are the eight lanes of a register, so a group takes two passes, and a
// panel of more than four columns two more.
#ifdef __x86_64__
#include "kernels/attend.hpp"
#include "kernels/instruction_kernels.hpp"
#include "kernels/multiply.hpp"

#include <immintrin.h>

namespace deepseek::kernels {

namespace {

__m256i load(const std::byte* source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
}

__m128i load_bytes(const std::byte* source) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(source));
}

// Those bits of `above` under the mask over `below`.
__m256i above_and_below(__m256i above, __m256i mask, __m256i below) {
  return _mm256_or_si256(_mm256_and_si256(above, mask), below);
}

// Shifts within sixteen bits; what comes over from the neighbouring byte is masked away.
__m256i shifted_left(__m256i bytes, int bits) {
  return bits >= 0 ? _mm256_slli_epi16(bytes, bits) : _mm256_srli_epi16(bytes, -bits);
}

// Quants of a block by their bits: one step of eight rows. See pack.cpp for where they stand.
// Products of two quants with two activations are added in sixteen bits, and `steps_together` of
// these sums are within sixteen bits too.
struct Bits4 {
  static constexpr std::size_t bytes = quants4_bytes;
  static constexpr bool zero_point_in_quants = true;
  static constexpr int steps_together = 8;  // 15 · 127 · 2 · 8
  static __m256i step(const std::byte* block, int step) {
    const __m256i pairs = load(block + step % (steps / 2) * 64);
    const __m256i mask = _mm256_set1_epi8(0x0F);
    return _mm256_and_si256(step < steps / 2 ? pairs : _mm256_srli_epi16(pairs, 4), mask);
  }
};
struct Bits5 {
  static constexpr std::size_t bytes = quants5_bytes;
  static constexpr bool zero_point_in_quants = true;
  static constexpr int steps_together = 4;  // 31 · 127 · 2 · 4
  static __m256i step(const std::byte* block, int step) {
    const __m256i fifths = shifted_left(load(block + Bits4::bytes), 4 - step);
    return above_and_below(fifths, _mm256_set1_epi8(0x10), Bits4::step(block, step));
  }
};
struct Bits6 {
  static constexpr std::size_t bytes = quants6_bytes;
  static constexpr bool zero_point_in_quants = true;
  static constexpr int steps_together = 2;  // 63 · 127 · 2 · 2
  static __m256i step(const std::byte* block, int step) {
    const __m256i four = load(block + Bits4::bytes + step / (steps / 2) * 64);
    const __m256i pairs = shifted_left(four, 4 - step % (steps / 2) * 2);
    return above_and_below(pairs, _mm256_set1_epi8(0x30), Bits4::step(block, step));
  }
};
struct Bits8 {
  static constexpr std::size_t bytes = quants8_bytes;
  static constexpr bool zero_point_in_quants = false;  // they are multiplied with their sign
  static constexpr int steps_together = 1;             // 128 · 127 · 2
  static __m256i step(const std::byte* block, int step) {
    return _mm256_xor_si256(load(block + step * 64), _mm256_set1_epi8(static_cast<char>(0x80)));
  }
};

template <class Bits>
__m256i products(__m256i weights, std::int32_t activations) {
  const __m256i four = _mm256_set1_epi32(activations);
  if constexpr (Bits::zero_point_in_quants) return _mm256_maddubs_epi16(weights, four);
  return _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(four, weights));
}

struct Avx2 {
  using Floats = __m256;
  using Integers = __m256i;
  using Bits4 = kernels::Bits4;
  using Bits5 = kernels::Bits5;
  using Bits6 = kernels::Bits6;
  using Bits8 = kernels::Bits8;
  static constexpr int lanes = 8;
  static constexpr int width_max = 4;

  static Floats zeros() { return _mm256_setzero_ps(); }
  static Floats floats(float one) { return _mm256_set1_ps(one); }
  static Integers integers(std::int32_t one) { return _mm256_set1_epi32(one); }
  static Floats to_floats(Integers values) { return _mm256_cvtepi32_ps(values); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats subtract_product(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
  static Floats halves(const std::byte* place, std::size_t lane) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(place + lane * 2)));
  }
  static Floats unsigned_bytes(const std::byte* place, std::size_t lane) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_bytes(place + lane)));
  }
  static Floats signed_bytes(const std::byte* place, std::size_t lane) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_bytes(place + lane)));
  }
  static void store(float* out, Floats values, std::int64_t rows) {
    if (rows >= lanes) return _mm256_storeu_ps(out, values);
    alignas(32) float all[lanes];
    _mm256_store_ps(all, values);
    for (std::int64_t row = 0; row < rows; ++row) out[row] = all[row];
  }

  // Steps that share bytes go together, so that these are loaded once.
  template <class Bits, int begin, int end, int width>
  static void add(Integers (&sums)[width], const std::byte* block, const std::int32_t* activations,
                  int stride) {
    constexpr bool pairs = end - begin == steps;
#pragma GCC unroll 8
    for (int first = begin; first < end; first += Bits::steps_together) {
      __m256i shorts[width];
#pragma GCC unroll 8
      for (int number = first; number < first + Bits::steps_together; ++number) {
        const int step = pairs ? number / 2 + number % 2 * (steps / 2) : number;
        const __m256i weights = Bits::step(block, step);
        const std::int32_t* at = activations + step * stride;
#pragma GCC unroll 4
        for (int column = 0; column < width; ++column) {
          const __m256i now = products<Bits>(weights, at[column]);
          shorts[column] = number == first ? now : _mm256_add_epi16(shorts[column], now);
        }
      }
#pragma GCC unroll 4
      for (int column = 0; column < width; ++column) {
        const __m256i wide = _mm256_madd_epi16(shorts[column], _mm256_set1_epi16(1));
        sums[column] = _mm256_add_epi32(sums[column], wide);
      }
    }
  }

  static float rounded_to_half(float value) {
    return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
  }
  static float largest(const float* values) {
    const __m256 sign = _mm256_set1_ps(-0.0F);
    __m256 most = _mm256_setzero_ps();
    for (int at = 0; at < block_columns; at += lanes) {
      most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(values + at)));
    }
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static std::int32_t sum(__m256i values) {
    alignas(32) std::int32_t parts[lanes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts), values);
    std::int32_t sum = 0;
    for (const std::int32_t part : parts) sum += part;
    return sum;
  }
  // What is no number would become the smallest integer.
  static __m256i rounded(const float* values, __m256 inverse) {
    const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(values), inverse);
    return _mm256_max_epi32(_mm256_cvtps_epi32(scaled), _mm256_set1_epi32(-127));
  }
  // Sixteen values; returns the sum of their quants.
  static std::int32_t quantize_half(const float* values, float inverse, std::int32_t* quants,
                                    int stride) {
    const __m256i low = rounded(values, _mm256_set1_ps(inverse));
    const __m256i high = rounded(values + lanes, _mm256_set1_ps(inverse));
    // Packing puts four of each half together in turn.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11011000);
    const __m128i packed =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    alignas(16) std::int32_t four[steps / 2];
    _mm_store_si128(reinterpret_cast<__m128i*>(four), packed);
    for (int step = 0; step < steps / 2; ++step) quants[step * stride] = four[step];
    return sum(_mm256_add_epi32(low, high));
  }
  static HalfSums quantize(const float* values, float inverse, std::int32_t* quants, int stride) {
    const std::int32_t first = quantize_half(values, inverse, quants, stride);
    quants += steps / 2 * stride;
    return {first, quantize_half(values + block_columns / 2, inverse, quants, stride)};
  }

  static constexpr int tile_vectors = 2;
  static constexpr int tile_sums = 8;
  static constexpr int value_vectors = 2;
  static constexpr int few_rows = 12;
  static Floats load(const float* place) { return _mm256_loadu_ps(place); }
  static void keep(float* place, Floats values) { _mm256_storeu_ps(place, values); }
  static float half(const std::byte* place) {
    return _cvtsh_ss(*reinterpret_cast<const std::uint16_t*>(place));
  }
  static Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats minus(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats rounded_floats(Floats x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats times_power_of_two(Floats x, Floats whole) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  static Floats zero_below(Floats x, Floats limit, Floats values) {
    return _mm256_and_ps(_mm256_cmp_ps(x, limit, _CMP_NLT_UQ), values);
  }
  static Floats closed_unless(std::uint64_t bits, Floats values) {
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i here = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits & 0xFF)), lane);
    const __m256i open = _mm256_cmpeq_epi32(here, lane);
    return _mm256_blendv_ps(_mm256_set1_ps(minus_infinity), values, _mm256_castsi256_ps(open));
  }
  static float sum_of(Floats values) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float largest_of(Floats values) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static void sums_of_four(Floats a, Floats b, Floats c, Floats d, float* place) {
    const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(place, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
  }
  static std::uint64_t open_bits(const std::uint16_t* mask, bool& known) {
    const __m256i closed = _mm256_set1_epi16(closed_cell);
    std::uint64_t open = 0;
    for (int part = 0; part < 2; ++part) {
      const auto* words = reinterpret_cast<const __m256i*>(mask + part * 32);
      const __m256i low = _mm256_loadu_si256(words);
      const __m256i high = _mm256_loadu_si256(words + 1);
      const __m256i low_closed = _mm256_cmpeq_epi16(low, closed);
      const __m256i high_closed = _mm256_cmpeq_epi16(high, closed);
      const __m256i rest = _mm256_or_si256(_mm256_andnot_si256(low_closed, low),
                                           _mm256_andnot_si256(high_closed, high));
      known &= _mm256_testz_si256(rest, _mm256_set1_epi16(0x7FFF)) != 0;
      const __m256i bytes =
          _mm256_permute4x64_epi64(_mm256_packs_epi16(low_closed, high_closed), 0b11011000);
      open |= static_cast<std::uint64_t>(~static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes)))
              << part * 32;
    }
    return open;
  }
};

}  // namespace

Kernels avx2_kernels(Format format) {
  return kernels_of<Avx2>(format);
}

AttentionKernels avx2_attention() {
  return attention_kernels_of<Avx2>();
}

}  // namespace deepseek::kernels
#endif
