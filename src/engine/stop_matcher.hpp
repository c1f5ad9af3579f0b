// Finds stop strings in text that arrives in pieces, also across the borders of pieces.
//
// Pure; one object per sequence. Holds back only what may still become a stop string; the stop
// string itself and what follows it never come out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops = {});  // empty strings are ignored

  struct Output {
    std::string text;
    // The stop string that began right after `text`: of those that are whole, the first to end, and
    // of two that end together the longer. Empty: none has come.
    std::string stop{};

    bool stopped() const { return !stop.empty(); }
  };
  // After it stopped it must not be called again.
  Output push(std::string_view piece);
  // The end of the text: what was held back.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace deepseek::engine
