// The model's KV cells as the scheduler sees them: who has them, what is kept for later, what goes
// first when room is needed.
//
// Pure bookkeeping, owned by the scheduler. Every change of the model's own cache is written down
// as a CacheChange, to be made in order before the next step. A slot at rest keeps its tokens for
// requests that begin with them, and loses them from the end, the longest unused slot first.
#pragma once

#include "engine/state_memory.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace deepseek::engine {

struct CacheChange {
  enum class Kind {
    keep,     // of `slot` only the positions below `length` stay
    share,    // `slot`, which is empty, has the positions of `source` below `length` too
    save,     // the state of `slot` is worth keeping elsewhere: `key` and `tokens` say what it is
    restore,  // `slot`, which is empty, gets `state`, cut to `length`
    slide,    // `slot` loses `length` positions from `source` on; those behind move up
  };
  Kind kind = Kind::keep;
  std::int32_t slot = 0;
  std::int32_t source = -1;
  std::int32_t length = 0;
  std::string key = {};
  std::vector<Token> tokens = {};
  State state = {};
  bool operator==(const CacheChange&) const = default;
};

struct KvPoolOptions {
  std::int32_t slots = 256;
  std::int32_t cells = 8192;
  std::int32_t resting_cells_max = 8192;  // kept for later, at most
  std::int32_t saved_min = 0;             // tokens that are worth a save; 0: nothing is saved
};

class KvPool {
 public:
  explicit KvPool(const KvPoolOptions& options);

  // What is in the cache of the beginning of these tokens; the last is never counted, since it must
  // be computed for its logits.
  KvTree::Match find(const std::string& key, std::span<const Token> tokens) const;

  // True if take() will find a slot: a free one, or one at rest.
  bool has_slot() const { return !free_slots_.empty() || !resting_.empty(); }
  // A busy slot that has what find() found; length() tells how much. Without `reuse` it is empty.
  std::int32_t take(const std::string& key, std::span<const Token> tokens, bool reuse = true);
  void extend(std::int32_t slot, std::span<const Token> tokens) { tree_.extend(slot, tokens); }
  void trim(std::int32_t slot, std::int32_t length);
  // The sequence has left: its tokens are kept, as the last to go or as the first.
  void rest(std::int32_t slot, bool first_to_go);

  // The model computed more for the slot than it has; that is given up.
  void cut(std::int32_t slot);
  // Cells that slide() takes beyond those that it gives back: what others share stays theirs.
  std::int32_t slide_cost(std::int32_t slot, std::int32_t count) const;
  // `slot`, which is busy, loses `count` tokens from `first` on, and is no beginning of a prompt
  // any more: only by `key` it is found again.
  void slide(std::int32_t slot, std::int32_t first, std::int32_t count, const std::string& key);
  // Nothing of what the slot has is used again.
  void clear(std::int32_t slot) { trim(slot, 0); }
  // Forgets all that is at rest; false if nothing was.
  bool drop_resting();

  // `slot`, which is busy, has these tokens, which `state` begins with, and nothing else. There
  // must be room for all of the state.
  void restore(std::int32_t slot, State state, std::span<const Token> tokens);
  // Notes the save of one slot at rest that was not saved yet; false if there is none.
  bool save_one();

  // Evicts slots at rest until so many cells are free; false if that is not enough.
  bool make_room(std::int32_t cells);

  std::int32_t length(std::int32_t slot) const { return tree_.length(slot); }
  std::int32_t cells() const { return options_.cells; }
  std::int32_t used() const { return tree_.cells(); }
  std::int32_t busy() const { return tree_.cells_busy(); }
  std::int32_t unused() const { return options_.cells - tree_.cells(); }
  std::uint64_t evicted_cells() const { return evicted_cells_; }

  // The changes since the last call, in their order.
  std::vector<CacheChange> take_changes();

 private:
  bool note_save(std::int32_t slot);
  void evict(std::int32_t slot, std::int32_t cells);
  void drop(std::int32_t slot);

  KvPoolOptions options_;
  KvTree tree_;
  std::vector<std::int32_t> free_slots_;
  std::vector<std::int32_t> resting_;  // the first goes first
  std::vector<std::int32_t> saved_;    // of each slot: how many of its tokens
  std::vector<CacheChange> changes_;
  std::uint64_t evicted_cells_ = 0;
};

}  // namespace deepseek::engine
