// Constraints compiled for one model's vocabulary, and how an answer walks through one.
//
// A Compiler may be asked from any thread, one compilation at a time: the others wait for it. What
// it hands out is immutable and shared. A Matcher belongs to one thread at a time. Pure but for the
// clock that ends a compilation that takes too long.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "grammar/constraint.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace deepseek::grammar {

struct Vocabulary {
  std::vector<std::string> pieces;  // bytes of each token; empty: it stands for no text
  std::vector<std::int32_t> ends;   // tokens that end an answer
};

class Compiled;

class Compiler {
 public:
  struct Options {
    std::size_t cache_bytes_max = 256UL << 20;
    base::Milliseconds compile_max{5000};
  };
  Compiler(const Vocabulary& vocabulary, const Options& options);
  ~Compiler();

  // From the cache; null if it is not there.
  std::shared_ptr<const Compiled> find(const Constraint& constraint);
  // From the cache, or in up to compile_max. Fails with `invalid_request`, whose param names the
  // client's field, with a path where the constraint is a schema.
  base::Result<std::shared_ptr<const Compiled>> compile(const Constraint& constraint);
  std::size_t cached_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Compiled> compiled);
  ~Matcher();
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;

  // One bit for each token that may come next, the lowest bit first. False: all may, and `mask`
  // means nothing.
  bool fill(std::span<std::int32_t> mask);
  static std::size_t mask_words(std::size_t vocabulary) { return (vocabulary + 31) / 32; }
  // False if the token may not come here; then nothing has changed.
  bool accept(std::int32_t token);
  bool accept_text(const std::string& text);  // counts as one token for roll_back()
  void roll_back(std::int32_t tokens);
  bool complete() const;  // the answer may end here

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deepseek::grammar
