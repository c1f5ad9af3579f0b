// Constraints compiled for one model's vocabulary by xgrammar (src/grammar).
//
// Any thread may ask. The vocabulary is brought to the compiler with the first constraint, which
// takes a tenth of a second and some memory.
#pragma once

#include "engine/model_interface.hpp"
#include "grammar/matcher.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace deepseek::engine::llama {

class GrammarSource final : public ConstraintSource {
 public:
  // `text` must outlive it.
  GrammarSource(const TextModel& text, const grammar::Compiler::Options& options);
  ~GrammarSource() override;

  std::unique_ptr<TokenConstraint> find(const grammar::Constraint& wanted) override;
  base::Result<std::unique_ptr<TokenConstraint>> make(const grammar::Constraint& wanted) override;
  std::vector<Token> ends() const override { return ends_; }

 private:
  grammar::Compiler& compiler();

  const TextModel& text_;
  grammar::Compiler::Options options_;
  std::vector<Token> ends_;
  std::once_flag once_;
  std::unique_ptr<grammar::Compiler> compiler_;
  std::atomic<bool> ready_ = false;  // compiler_ is there
};

}  // namespace deepseek::engine::llama
