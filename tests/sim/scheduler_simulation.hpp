// A seeded simulation of the engine's scheduler against a model of the machine.
//
// Pure: one call runs thousands of random submits, cancels, resumed answers, credits, interrupted
// steps and missing room, with a made-up clock, and checks the scheduler's promises after every
// step.
#pragma once

#include <cstdint>
#include <string>

namespace deepseek::engine {

// Empty when every promise held; else what broke, at which step.
std::string simulate_scheduler(std::uint64_t seed, int events);

}  // namespace deepseek::engine
