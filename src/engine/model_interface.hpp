// What the engine needs of a model, free of llama.cpp: text in and out, a batch decoder, samplers,
// embeddings. engine/llama/ implements them; tests use fakes.
//
// Text is const and may be used from any thread; Decoder and Embedder belong to the loop's thread,
// as does a TokenSampler once its sequence runs. None of them logs prompts.
#pragma once

#include "base/result.hpp"
#include "engine/reasoning_splitter.hpp"
#include "engine/scheduler.hpp"
#include "engine/tool_format.hpp"
#include "engine/tool_parser.hpp"
#include "grammar/constraint.hpp"

#include "deepseek/engine/v1/engine.pb.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

namespace wire = ::deepseek::engine::v1;

// Chooses one sequence's tokens; keeps its random state, so a preempted sequence goes on exactly.
class TokenSampler {
 public:
  virtual ~TokenSampler() = default;
  // `logits` are the model's raw ones, one per token of the vocabulary.
  virtual Token sample(std::span<const float> logits) = 0;
  // Goes on as if it had chosen these.
  virtual void replay(std::span<const Token> tokens) = 0;
};

// Holds one answer to what it must be, token by token. Belongs to one thread at a time.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // One bit for each token of the vocabulary that may come next, the lowest bit first. False: all
  // may, and `mask` means nothing.
  virtual bool fill(std::span<std::int32_t> mask) = 0;
  // False if it may not come here; then nothing has changed.
  virtual bool accept(Token token) = 0;
  virtual bool accept_text(const std::string& text) = 0;
};

// Makes them for one model. Any thread may ask.
class ConstraintSource {
 public:
  virtual ~ConstraintSource() = default;
  // At once, or null where it has to be compiled.
  virtual std::unique_ptr<TokenConstraint> find(const grammar::Constraint& wanted) = 0;
  // Compiles it, which may take long. Fails with `invalid_request`; its param is the client's.
  virtual base::Result<std::unique_ptr<TokenConstraint>> make(
      const grammar::Constraint& wanted) = 0;
  virtual std::vector<Token> ends() const = 0;  // that end an answer
};

struct RenderedPrompt {
  std::vector<Token> tokens;
  std::string text;                         // what the template made; empty for plain input
  AnswerPlace place = AnswerPlace::before;  // where the model's text begins
  std::unique_ptr<ToolParser> tools{};      // finds calls in the answer; null: none may be there
  std::vector<std::string> call_marks{};    // that end thinking, where there are tools
};

class TextModel {
 public:
  virtual ~TextModel() = default;
  // The model's template over the messages. Special tokens written in a message stay plain text.
  virtual base::Result<RenderedPrompt> render(const wire::Chat& chat) const = 0;
  // Special tokens in `text` stay plain text. `add_special` puts the model's own begin token.
  virtual base::Result<std::vector<Token>> tokenize(std::string_view text,
                                                    bool add_special) const = 0;
  // What asks for the text between the two; invalid_request if the model has no tokens for it.
  virtual base::Result<std::vector<Token>> infill(std::string_view prefix,
                                                  std::string_view suffix) const = 0;
  // The bytes of one token; special tokens have none unless `special`.
  virtual std::string piece(Token token, bool special) const = 0;
  virtual bool is_end(Token token) const = 0;
  virtual std::size_t longest_piece() const = 0;  // bytes; no token stands for more text
  virtual std::int32_t vocabulary() const = 0;
  virtual ReasoningTags reasoning_tags() const = 0;
  virtual ToolFormat tool_format() const = 0;  // in which the model writes calls
  virtual base::Result<std::unique_ptr<TokenSampler>> make_sampler(
      const wire::Sampling& sampling) const = 0;
};

struct BatchSlice {
  std::int32_t slot = 0;
  std::int32_t position = 0;  // of the first token
  std::span<const Token> tokens;
  std::int32_t outputs = 0;        // so many of the last tokens have logits, and all of the draft
  std::span<const Token> draft{};  // guesses behind the tokens
  std::int32_t adapter = 0;        // number of a LoRA adapter; 0: none
};

// Of the model's pool; all 0 where it is not known.
struct CellUse {
  std::int32_t used = 0;
  std::int32_t span = 0;  // up to the highest in use: attention looks at all of these
};

class Decoder {
 public:
  enum class Outcome { done, no_room, aborted, failed };

  virtual ~Decoder() = default;
  // Runs one batch. It returns `aborted` soon after `abort` became true.
  virtual Outcome decode(std::span<const BatchSlice> slices) = 0;
  // Logits of the last decode()'s slice with that index: the row-th of those it wanted, of its own
  // tokens and then of its draft.
  virtual std::span<const float> logits(std::size_t slice_index, std::size_t row = 0) = 0;
  // How many positions of the slot are in the cache.
  virtual std::int32_t cells(std::int32_t slot) = 0;
  virtual void clear(std::int32_t slot) = 0;
  // `slot`, which is empty, has the source's positions below `length` too, in the same cells. The
  // source may be in use.
  virtual void share(std::int32_t slot, std::int32_t source, std::int32_t length) = 0;
  // The states of the slot's positions, for restore(); empty if the model cannot tell
  // them, or not now.
  virtual std::string save(std::int32_t slot) = 0;
  // Puts them into an empty slot; false if the model refuses them, and then the slot is empty.
  virtual bool restore(std::int32_t slot, std::string_view state) = 0;
  // Removes the positions from `cells` on.
  virtual void keep(std::int32_t slot, std::int32_t cells) = 0;
  // Removes `count` positions from `first` on and moves those behind to their place. Cells that
  // another slot has too are copied first.
  virtual void slide(std::int32_t slot, std::int32_t first, std::int32_t count) = 0;
  virtual CellUse cell_use() const { return {}; }
  // Any thread may set it; it interrupts the decode() that runs. The loop resets it between steps.
  virtual std::atomic<bool>& abort_flag() = 0;
};

// Guesses what a sequence goes on with, by a smaller model.
class Drafter {
 public:
  struct Wish {
    std::int32_t slot = 0;
    std::span<const Token> tokens;  // all of the sequence
    std::int32_t count = 0;         // guesses, at most
  };
  struct Guesses {
    std::vector<std::vector<Token>> tokens;  // one entry for each wish; may be shorter
    std::int32_t rounds = 0;                 // of the model, one token of each sequence in each
  };

  virtual ~Drafter() = default;
  // What it has read of a slot before it finds again by its tokens.
  virtual Guesses guess(std::span<const Wish> wishes) = 0;
};

// Inputs whose states an Embedder computes together, at most.
inline constexpr std::size_t kEmbeddedTogether = 16;

// Pooled, normalised states. Works in pieces, so that running sequences wait for one piece only.
class Embedder {
 public:
  enum class Progress { working, done, failed };

  virtual ~Embedder() = default;
  virtual std::int32_t dimensions() const = 0;
  virtual void start(std::vector<std::vector<Token>> inputs) = 0;
  virtual Progress step() = 0;
  virtual std::vector<std::vector<float>> take() = 0;  // after `done`: one per input
};

}  // namespace deepseek::engine
