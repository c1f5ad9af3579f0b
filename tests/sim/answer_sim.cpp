// answer_sim SEED [COUNT]: simulates answers over failing backends with COUNT seeds from SEED on.
// Prints the first seed that breaks a promise and ends with 1; the same seed breaks it again. With
// one seed alone it prints what happened.
#include "answer_simulation.hpp"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const std::uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::string course;
    const std::string broken = deepseek::gateway::simulate_answers(seed, &course);
    if (count == 1) std::fputs(course.c_str(), stdout);
    if (broken.empty()) continue;
    std::printf("answers: seed %llu: %s\n", static_cast<unsigned long long>(seed), broken.c_str());
    return 1;
  }
  std::printf("answers: %llu seeds from %llu on: every promise held\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(first));
  return 0;
}
