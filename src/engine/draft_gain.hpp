// How many guessed tokens are worth computing: as long as a guess is likelier to be right than what
// it costs beside a token that is computed anyway.
//
// Pure; owned by the scheduler. Every guess is compared with what came, also those that were not
// computed, so it costs nothing to find out that guessing pays again. On a machine that computes
// three tokens as quickly as one, nearly every guess pays; on one that needs three times as long,
// only sure ones do.
#pragma once

#include "base/clock.hpp"
#include "engine/prompt_lookup.hpp"

#include <array>
#include <cstdint>

namespace deepseek::engine {

class DraftGain {
 public:
  void guessed(const PromptLookup::Outcome& outcome);
  // A step in which everybody decodes computed so many tokens and took so long.
  void stepped(std::int32_t tokens, std::chrono::nanoseconds took);

  // Of a guess behind so many matching tokens: how long its beginning is that pays, at most
  // `length`.
  std::int32_t worth(std::int32_t match, std::int32_t length) const;

  // How likely the next token is guessed, 0 to 1.
  double chance(std::int32_t match) const;
  // What one more token in a step costs, as a part of what a token costs on average; 0 to 1.
  double cost() const;
  // How long a step of so many tokens takes; 0: not known.
  double milliseconds(std::int32_t tokens) const;

 private:
  double one_more() const;  // milliseconds that one more token takes; steps were seen

  struct Counts {
    double right;
    double all;
  };
  // By the length of the match: 3, 4 to 7, 8 to 15, 16 to 31, 32 or more.
  std::array<Counts, 5> counts_{{{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}}};
  // Of tokens and milliseconds of steps, older ones fading: means, variance, covariance.
  double tokens_ = 0;
  double took_ = 0;
  double variance_ = 0;
  double covariance_ = 0;
};

}  // namespace deepseek::engine
