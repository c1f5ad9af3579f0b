// States of prefixes in the host's memory, so that a prompt need not be read again although its
// cells were given up: what the scheduler swaps out and back in.
//
// Owned by the engine loop and used on its thread alone. Bounded in bytes; the longest unused state
// goes first. Nothing here knows what the states mean.
#pragma once

#include "engine/kv_tree.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace deepseek::engine {

// Shorter prefixes are as quickly read again as their states are moved.
inline constexpr std::int32_t kStateTokensMin = 128;

using State = std::shared_ptr<const std::string>;

class StateMemory {
 public:
  // With 0 bytes it keeps nothing.
  explicit StateMemory(std::uint64_t bytes_max, std::int32_t tokens_min = kStateTokensMin);

  bool keeps() const { return bytes_max_ > 0; }
  std::int32_t tokens_min() const { return tokens_min_; }

  struct Found {
    State state;              // null: none
    std::int32_t length = 0;  // tokens of the prompt that it covers
    std::int32_t tokens = 0;  // of the whole state
  };
  // The state of this key that covers the longest beginning of the prompt without its last token.
  Found find(const std::string& key, std::span<const Token> tokens);

  // True if put() would keep it: long enough, not too large, and not there already.
  bool wants(const std::string& key, std::span<const Token> tokens) const;
  // Takes the place of a state that covers the first half or more of it.
  void put(const std::string& key, std::span<const Token> tokens, State state);
  void clear();

  struct Figures {
    std::uint64_t states = 0;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;  // states that were found and used
  };
  Figures figures() const { return {entries_.size(), bytes_, hits_}; }
  void used() { ++hits_; }

 private:
  struct Entry {
    State state;
    std::uint64_t used = 0;  // a number that grows with each use
  };

  void forget(std::int32_t number);
  void forget_oldest();  // there is one

  std::uint64_t bytes_max_;
  std::int32_t tokens_min_;
  KvTree tree_;  // its slots are the numbers of the entries
  std::map<std::int32_t, Entry> entries_;
  std::vector<std::int32_t> free_numbers_;
  std::size_t tokens_limit_ = std::size_t(-1);  // states of so many do not fit
  std::uint64_t bytes_ = 0;
  std::uint64_t uses_ = 0;
  std::uint64_t hits_ = 0;
};

}  // namespace deepseek::engine
