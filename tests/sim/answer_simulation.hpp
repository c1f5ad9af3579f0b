// A seeded simulation of answers over several backends that fail in every way: real runs, plans,
// groups, breakers, budgets and hedges; made-up backends, clients, time and chance.
//
// Each client must get exactly one answer, its own text once and in order, or one error, by its
// deadline; nothing may be left behind, and retries must stay within their budgets.
#pragma once

#include <cstdint>
#include <string>

namespace deepseek::gateway {

// Some clients come within some seconds. Returns what broke, empty when every promise held.
// `course`: if given, what happened in words, the same for the same seed.
std::string simulate_answers(std::uint64_t seed, std::string* course = nullptr);

}  // namespace deepseek::gateway
