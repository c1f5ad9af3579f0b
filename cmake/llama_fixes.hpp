// Included before every C++ file of llama.cpp (tools/dev/llama.py).
//
// GCC 12 says of _tile_loadconfig that it reads eight bytes of the configuration, which has 64: the
// optimizer drops the stores to the others, and the first AMX instruction behind it is illegal
// (SIGILL). This one says what it reads.
#pragma once

#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) \
  __asm__ volatile("ldtilecfg (%0)" : : "r"(static_cast<const void*>(config)) : "memory")
#endif
