#include "base/byte_scan.hpp"

#include <bit>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace deepseek::base {

std::size_t find_control(std::string_view text, std::size_t from) {
  std::size_t at = from;
#ifdef __SSE2__
  const __m128i last_low = _mm_set1_epi8(0x1F);
  const __m128i del = _mm_set1_epi8(0x7F);
  for (; at + 16 <= text.size(); at += 16) {
    __m128i bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    const __m128i found = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, last_low), bytes),
                                       _mm_cmpeq_epi8(bytes, del));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  for (; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7F) return at;
  }
  return text.size();
}

}  // namespace deepseek::base
