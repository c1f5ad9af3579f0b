// How many tokens a draft model should guess for each sequence of a step: as many as make the most
// tokens in the time that guessing and checking them takes, by what was measured.
//
// Pure; owned by the scheduler. Where guessing does not pay it tries again from time to time, since
// another text may be easier to guess.
#pragma once

#include "base/clock.hpp"

#include <cstdint>

namespace deepseek::engine {

class DraftModelGain {
 public:
  struct Step {
    std::int32_t sequences = 1;  // that would be guessed for
    double plain_ms = 0;         // without guesses; 0: not known yet
    double checked_ms = 0;       // more for each guess that is checked
    double longest_ms = 0;       // that a step may take
  };

  // Guesses for each sequence, at most `most`.
  std::int32_t worth(const Step& step, std::int32_t most);

  // Of one sequence's guesses so many were right before the first wrong one.
  void compared(std::int32_t guessed, std::int32_t right);
  // The draft model ran so many times in a row.
  void drafted(std::int32_t rounds, std::chrono::nanoseconds took);

  double chance() const { return right_ / all_; }  // of a guess to be right
  double round_ms() const { return round_ms_; }

 private:
  double right_ = 6;
  double all_ = 8;
  double round_ms_ = 0;  // moving average; 0: not known yet
  std::int32_t skipped_ = 0;
};

}  // namespace deepseek::engine
