#include "grammar/matcher.hpp"

#include "base/digest.hpp"
#include "base/utf8.hpp"
#include "grammar/limits.hpp"
#include "grammar/repetitions.hpp"
#include "grammar/schema.hpp"

#include <xgrammar/xgrammar.h>
#include <algorithm>
#include <exception>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace deepseek::grammar {
namespace {

// Whitespace between the tokens of JSON, in a row: a model that says nothing else comes to an end.
constexpr int kBlanksMax = 24;

struct TooLong : std::exception {};

thread_local base::TimePoint compile_deadline{};

void check_deadline() {
  if (base::now() > compile_deadline) throw TooLong();
}

// Sets the deadline of what this thread compiles.
class Checkpoint {
 public:
  explicit Checkpoint(base::Milliseconds longest) {
    compile_deadline = base::now() + longest;
    xgrammar::compile_checkpoint = check_deadline;
  }
  ~Checkpoint() { xgrammar::compile_checkpoint = nullptr; }
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;
};

base::Error refused(const Constraint& constraint, const std::string& why) {
  return base::make_error(base::ErrorCode::invalid_request, constraint.param + ": " + why,
                          constraint.param);
}

// What xgrammar says, without its place in xgrammar's source.
std::string reason(const std::exception& error) {
  std::string text = error.what();
  text.resize(std::min(text.size(), text.find('\n')));
  // "[12:00:00] /folder/file.cc:820: what is wrong".
  const std::size_t file = text.rfind(".cc:");
  const std::size_t words = file == std::string::npos ? file : text.find(": ", file);
  if (words != std::string::npos) text.erase(0, words + 2);
  return "it cannot be read: " + text;
}

std::string literal(const std::string& text) {
  std::string out = "\"";
  for (const char byte : text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7f) {
      out += std::string("\\x") + kHex[value >> 4U] + kHex[value & 15U];
    } else {
      if (byte == '"' || byte == '\\') out += '\\';
      out += byte;
    }
  }
  return out + '"';
}

base::Result<std::string> choices_grammar(const Constraint& constraint) {
  if (constraint.choices.empty() || constraint.choices.size() > kChoicesMax) {
    return refused(constraint, "from 1 to " + std::to_string(kChoicesMax) + " texts are taken");
  }
  std::size_t bytes = 0;
  std::string text = "root ::= ";
  for (const std::string& choice : constraint.choices) {
    bytes += choice.size();
    if (choice.empty() || !base::is_valid_utf8(choice)) {
      return refused(constraint, "a text to choose is empty or not UTF-8");
    }
    if (&choice != &constraint.choices.front()) text += " | ";
    text += literal(choice);
  }
  if (bytes > kChoiceBytesMax) {
    return refused(constraint, "the texts have more than " + std::to_string(kChoiceBytesMax) +
                                   " bytes together");
  }
  return text;
}

base::Sha256Digest key_of(const Constraint& constraint) {
  base::Sha256 hash;
  hash.add_field(std::to_string(static_cast<int>(constraint.kind)));
  hash.add_field(constraint.text);
  for (const std::string& choice : constraint.choices) hash.add_field(choice);
  return hash.finish();
}

}  // namespace

class Compiled {
 public:
  explicit Compiled(xgrammar::CompiledGrammar compiled) : grammar(std::move(compiled)) {}
  xgrammar::CompiledGrammar grammar;
};

struct Compiler::State {
  State(const Vocabulary& vocabulary, const Options& given)
      : options(given),
        compiler(xgrammar::TokenizerInfo(vocabulary.pieces, xgrammar::VocabType::RAW, std::nullopt,
                                         vocabulary.ends),
                 1, false) {}

  base::Result<std::shared_ptr<const Compiled>> make(const Constraint& constraint);
  xgrammar::CompiledGrammar run(const Constraint& constraint, const std::string& text);
  base::Result<std::string> checked(const Constraint& constraint) const;
  std::shared_ptr<const Compiled> find(const base::Sha256Digest& key);
  void keep(const base::Sha256Digest& key, const std::shared_ptr<const Compiled>& compiled);

  struct Entry {
    base::Sha256Digest key;
    std::shared_ptr<const Compiled> compiled;
    std::size_t bytes = 0;
  };
  Options options;
  std::mutex compiling;  // one at a time
  xgrammar::GrammarCompiler compiler;

  mutable std::mutex mutex;  // of the cache
  std::list<Entry> entries;  // used last, first
  std::unordered_map<base::Sha256Digest, std::list<Entry>::iterator, base::DigestHash> found;
  std::size_t bytes = 0;
};

base::Result<std::string> Compiler::State::checked(const Constraint& constraint) const {
  const std::string& text = constraint.text;
  switch (constraint.kind) {
    case Constraint::Kind::json_object:
      return std::string(R"({"type":"object"})");
    case Constraint::Kind::json_schema:
      return checked_schema(text, constraint.param);
    case Constraint::Kind::choice:
      return choices_grammar(constraint);
    case Constraint::Kind::structural_tag:
      return text;  // of our own making
    case Constraint::Kind::ebnf:
    case Constraint::Kind::regex:
      break;
  }
  const bool is_regex = constraint.kind == Constraint::Kind::regex;
  const std::size_t most = is_regex ? kExpressionBytesMax : kGivenGrammarBytesMax;
  if (text.empty() || text.size() > most || !base::is_valid_utf8(text)) {
    return refused(constraint, "it must be UTF-8 of 1 to " + std::to_string(most) + " bytes");
  }
  if (has_bomb(text)) {
    return refused(constraint, "counted repetitions go to " + std::to_string(kRepeatMax) +
                                   ", and to " + std::to_string(kRepeatProductMax) +
                                   " multiplied with each other");
  }
  if (!is_regex) return text;
  for (const std::string_view part : {"(?=", "(?!", "(?<", "\\b", "\\B", "\\p", "\\P"}) {
    if (text.find(part) != std::string::npos) {
      return refused(constraint, std::string(part) + " is not supported");
    }
  }
  return text;
}

xgrammar::CompiledGrammar Compiler::State::run(const Constraint& constraint,
                                               const std::string& text) {
  switch (constraint.kind) {
    case Constraint::Kind::json_object:
    case Constraint::Kind::json_schema: {
      const bool closed = constraint.kind == Constraint::Kind::json_schema;
      return compiler.CompileJSONSchema(text, true, std::nullopt, std::nullopt, closed, kBlanksMax);
    }
    case Constraint::Kind::regex:
      return compiler.CompileRegex(text);
    case Constraint::Kind::structural_tag:
      return compiler.CompileStructuralTag(text);
    case Constraint::Kind::ebnf:
    case Constraint::Kind::choice:
      break;
  }
  return compiler.CompileGrammar(text);
}

base::Result<std::shared_ptr<const Compiled>> Compiler::State::make(const Constraint& constraint) {
  const base::Result<std::string> text = checked(constraint);
  if (text.has_error()) return text.error();
  const std::lock_guard lock(compiling);
  try {
    const Checkpoint checkpoint(options.compile_max);
    return std::make_shared<const Compiled>(run(constraint, *text));
  } catch (const TooLong&) {
    return refused(constraint, "it takes longer than " +
                                   std::to_string(options.compile_max.count()) +
                                   " ms to compile; make it simpler");
  } catch (const std::exception& error) {
    return refused(constraint, reason(error));
  }
}

std::shared_ptr<const Compiled> Compiler::State::find(const base::Sha256Digest& key) {
  const std::lock_guard lock(mutex);
  const auto known = found.find(key);
  if (known == found.end()) return nullptr;
  entries.splice(entries.begin(), entries, known->second);
  return known->second->compiled;
}

void Compiler::State::keep(const base::Sha256Digest& key,
                           const std::shared_ptr<const Compiled>& compiled) {
  const std::lock_guard lock(mutex);
  if (found.contains(key)) return;
  entries.push_front({key, compiled, compiled->grammar.MemorySizeBytes()});
  found.emplace(key, entries.begin());
  bytes += entries.front().bytes;
  while (bytes > options.cache_bytes_max && !entries.empty()) {
    bytes -= entries.back().bytes;
    found.erase(entries.back().key);
    entries.pop_back();
  }
}

Compiler::Compiler(const Vocabulary& vocabulary, const Options& options)
    : state_(std::make_unique<State>(vocabulary, options)) {}
Compiler::~Compiler() = default;

std::shared_ptr<const Compiled> Compiler::find(const Constraint& constraint) {
  return state_->find(key_of(constraint));
}

base::Result<std::shared_ptr<const Compiled>> Compiler::compile(const Constraint& constraint) {
  const base::Sha256Digest key = key_of(constraint);
  if (auto known = state_->find(key)) return known;
  base::Result<std::shared_ptr<const Compiled>> made = state_->make(constraint);
  if (made.has_value()) state_->keep(key, *made);
  return made;
}

std::size_t Compiler::cached_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

struct Matcher::State {
  explicit State(std::shared_ptr<const Compiled> given)
      : compiled(std::move(given)), matcher(compiled->grammar) {}
  std::shared_ptr<const Compiled> compiled;
  xgrammar::GrammarMatcher matcher;
};

Matcher::Matcher(std::shared_ptr<const Compiled> compiled)
    : state_(std::make_unique<State>(std::move(compiled))) {}
Matcher::~Matcher() = default;
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;

bool Matcher::fill(std::span<std::int32_t> mask) {
  std::int64_t shape = static_cast<std::int64_t>(mask.size());
  DLTensor tensor{};
  tensor.data = mask.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &shape;
  return state_->matcher.FillNextTokenBitmask(&tensor);
}

bool Matcher::accept(std::int32_t token) {
  return state_->matcher.AcceptToken(token);
}

bool Matcher::accept_text(const std::string& text) {
  return state_->matcher.AcceptString(text);
}

void Matcher::roll_back(std::int32_t tokens) {
  state_->matcher.Rollback(tokens);
}

bool Matcher::complete() const {
  return state_->matcher.IsCompleted();
}

}  // namespace deepseek::grammar
