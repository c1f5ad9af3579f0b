// machine_peak [THREADS]: what this machine's processor can do at most, for comparison. Prints one
// JSON object: multiplications of bytes a second, with the instructions that multiply them fastest
// and nothing but registers, and bytes a second read from memory. Both on all threads at once.
#include "kernels/instruction_set.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace deepseek {
namespace {

constexpr int tries = 7;
constexpr std::int64_t loops = 20'000'000;
constexpr std::size_t memory_bytes = std::size_t{256} << 20;  // of each thread: beyond any cache

// What has no other effect is not computed.
void keep(std::uint64_t value) {
  asm volatile("" : : "r"(value) : "memory");
}

#ifdef __x86_64__
constexpr int registers = 12;  // enough to wait for no result

__attribute__((target("avx512f,avx512vnni"))) std::int64_t multiply_avx512() {
  __m512i sums[registers];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  __m512i weights = _mm512_set1_epi8(3);
  for (std::int64_t loop = 0; loop < loops; ++loop) {
    asm volatile("" : "+v"(weights));
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, weights, weights);
  }
  for (const auto& sum : sums) asm volatile("" : : "v"(sum));
  return loops * registers * 64;
}

__attribute__((target("avx2"))) std::int64_t multiply_avx2() {
  __m256i sums[registers];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  __m256i weights = _mm256_set1_epi8(3);
  for (std::int64_t loop = 0; loop < loops; ++loop) {
    asm volatile("" : "+x"(weights));
    for (auto& sum : sums) sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights, weights));
  }
  for (const auto& sum : sums) asm volatile("" : : "x"(sum));
  return loops * registers * 32;
}
#endif

// Returns how many multiplications it did; none where there is no instruction for them.
std::int64_t multiply(kernels::InstructionSet set) {
#ifdef __x86_64__
  if (set == kernels::InstructionSet::avx512_vnni) return multiply_avx512();
  if (set == kernels::InstructionSet::avx2) return multiply_avx2();
#endif
  static_cast<void>(set);
  return 0;
}

// The best of some tries, of all threads together.
double per_second(int threads, const std::function<std::int64_t(int)>& work) {
  double best = 0;
  for (int round = 0; round < tries; ++round) {
    std::vector<std::int64_t> done(static_cast<std::size_t>(threads));
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::jthread> running;
    for (int thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] { done[static_cast<std::size_t>(thread)] = work(thread); });
    }
    running.clear();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const auto sum = std::accumulate(done.begin(), done.end(), std::int64_t{0});
    best = std::max(best, static_cast<double>(sum) / took.count());
  }
  return best;
}

void run(int threads) {
  const auto set = kernels::instruction_sets_of_this_machine().back();
  const double products = per_second(threads, [set](int) { return multiply(set); });
  std::vector<std::vector<std::uint64_t>> memory(static_cast<std::size_t>(threads));
  for (auto& part : memory) part.assign(memory_bytes / sizeof(std::uint64_t), 1);
  const double read = per_second(threads, [&memory](int thread) {
    const auto& part = memory[static_cast<std::size_t>(thread)];
    keep(std::accumulate(part.begin(), part.end(), std::uint64_t{0}));
    return static_cast<std::int64_t>(memory_bytes);
  });
  std::printf("{\"products_per_s\": %.0f, \"read_bytes_per_s\": %.0f}\n", products, read);
}

}  // namespace
}  // namespace deepseek

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1) {
    std::fputs("machine_peak: THREADS must be a number above 0\n", stderr);
    return 2;
  }
  deepseek::run(threads);
  return 0;
}
