// Which KV cells hold which tokens: a tree over tokens with one branch for each slot.
//
// Pure bookkeeping, owned by the KvPool. A slot is a sequence of llama.cpp; its path from the root
// is what it has computed. Slots with a common beginning share its nodes, as llama.cpp shares the
// cells of llama_memory_seq_cp(), so cells are counted once however many slots read them. Each key
// (whose prompts may be shared) has a root of its own. A slot is busy while a sequence runs in it,
// else it is kept for those to come.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace deepseek::engine {

using Token = std::int32_t;

// How many tokens both begin with.
std::int32_t common_length(std::span<const Token> a, std::span<const Token> b);

class KvTree {
 public:
  explicit KvTree(std::int32_t slots);
  ~KvTree();

  // The longest beginning of some tokens that is in the cache.
  struct Match {
    std::int32_t slot = -1;   // one that has it; -1 if length is 0
    std::int32_t length = 0;  // tokens
    std::int32_t busy = 0;    // of those, how many some busy slot holds anyway
  };
  Match find(const std::string& key, std::span<const Token> tokens) const;

  // An empty busy slot; it must not be open.
  void open(std::int32_t slot, const std::string& key);
  bool is_open(std::int32_t slot) const { return at(slot).node != nullptr; }
  // `slot` is open and empty: it now has the first `length` tokens of `other`, of the same key.
  void share(std::int32_t slot, std::int32_t other, std::int32_t length);
  // Tokens that the slot has computed.
  void extend(std::int32_t slot, std::span<const Token> tokens);
  // Only the first `length` tokens stay.
  void trim(std::int32_t slot, std::int32_t length);
  void close(std::int32_t slot);
  void set_busy(std::int32_t slot, bool busy);

  std::int32_t length(std::int32_t slot) const;
  std::vector<Token> tokens(std::int32_t slot) const;
  const std::string& key(std::int32_t slot) const { return at(slot).key; }
  // Tokens at the end of the slot that no other slot shares: what closing it would give back.
  std::int32_t own(std::int32_t slot) const;
  std::int32_t cells() const { return cells_; }            // of all slots
  std::int32_t cells_busy() const { return cells_busy_; }  // of busy ones

 private:
  struct Node;
  struct Slot {
    Node* node = nullptr;  // where its path ends
    bool busy = false;
    std::string key;
  };

  Slot& at(std::int32_t slot) { return slots_[static_cast<std::size_t>(slot)]; }
  const Slot& at(std::int32_t slot) const { return slots_[static_cast<std::size_t>(slot)]; }
  static Match longest(const Node& node, std::span<const Token> tokens, const Node*& last);
  void enter(Node* node, std::int32_t slot);
  void leave(std::int32_t slot, Node* until);
  Node* split(Node* node, std::int32_t depth);
  Node* node_at(Node* node, std::int32_t depth);
  void merge_with_only_child(Node* node);
  void drop_root(const std::string& key);

  std::vector<Slot> slots_;
  std::unordered_map<std::string, std::unique_ptr<Node>> roots_;
  std::int32_t cells_ = 0;
  std::int32_t cells_busy_ = 0;
};

}  // namespace deepseek::engine
