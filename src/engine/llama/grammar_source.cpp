#include "engine/llama/grammar_source.hpp"

#include <utility>

namespace deepseek::engine::llama {
namespace {

class Held final : public TokenConstraint {
 public:
  explicit Held(std::shared_ptr<const grammar::Compiled> compiled)
      : matcher_(std::move(compiled)) {}
  bool fill(std::span<std::int32_t> mask) override { return matcher_.fill(mask); }
  bool accept(Token token) override { return matcher_.accept(token); }
  bool accept_text(const std::string& text) override { return matcher_.accept_text(text); }

 private:
  grammar::Matcher matcher_;
};

}  // namespace

GrammarSource::GrammarSource(const TextModel& text, const grammar::Compiler::Options& options)
    : text_(text), options_(options) {
  for (Token token = 0; token < text.vocabulary(); ++token) {
    if (text.is_end(token)) ends_.push_back(token);
  }
}

GrammarSource::~GrammarSource() = default;

grammar::Compiler& GrammarSource::compiler() {
  std::call_once(once_, [this] {
    grammar::Vocabulary vocabulary;
    vocabulary.ends = ends_;
    for (Token token = 0; token < text_.vocabulary(); ++token) {
      vocabulary.pieces.push_back(text_.piece(token, false));
    }
    compiler_ = std::make_unique<grammar::Compiler>(vocabulary, options_);
    ready_ = true;
  });
  return *compiler_;
}

std::unique_ptr<TokenConstraint> GrammarSource::find(const grammar::Constraint& wanted) {
  if (!ready_) return nullptr;
  auto compiled = compiler_->find(wanted);
  return compiled == nullptr ? nullptr : std::make_unique<Held>(std::move(compiled));
}

base::Result<std::unique_ptr<TokenConstraint>> GrammarSource::make(
    const grammar::Constraint& wanted) {
  auto compiled = compiler().compile(wanted);
  if (compiled.has_error()) return compiled.error();
  return std::unique_ptr<TokenConstraint>(std::make_unique<Held>(std::move(*compiled)));
}

}  // namespace deepseek::engine::llama
