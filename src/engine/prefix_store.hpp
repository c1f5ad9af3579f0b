// Prefixes on disk: states of the model for the beginnings of prompts, so that a prompt need not be
// read again although its cells were given up, or the engine was started anew.
//
// Made by main(). Every function may be called from any thread and none waits for the disk: a
// thread of its own reads and writes, reads first. The folder is bounded in bytes; the longest
// unused file goes first. A file that is cut off, damaged, of another model or of another build is
// removed and counts as absent. Nothing here knows what the states mean.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "engine/prefix_file.hpp"
#include "engine/state_memory.hpp"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace deepseek::engine {

struct PrefixStoreOptions {
  std::filesystem::path folder;
  std::uint64_t bytes_max = 0;
  std::string model;  // names the model, its numbers and this build
  std::int32_t tokens_min = kStateTokensMin;
  std::size_t pending_bytes_max = 256U << 20;  // of states that wait to be written
};

struct EngineOptions;
// The folder of one model inside --cache-dir, and a name that changes with the model file, with how
// its states are kept, and with this build.
std::filesystem::path prefix_folder(const EngineOptions& options);
std::string prefix_model(const EngineOptions& options);

class PrefixStore {
 public:
  // Reads the folder, which is made if need be; `invalid_request` says why it cannot be used.
  static base::Result<std::unique_ptr<PrefixStore>> open(const PrefixStoreOptions& options,
                                                         base::Logger log);
  // Writes what waits; reads nothing more.
  ~PrefixStore();

  struct Found {
    std::int32_t file = -1;
    std::int32_t length = 0;  // tokens of the prompt that its state covers
    std::int32_t tokens = 0;  // of the whole state
  };
  // The longest beginning of the prompt, without its last token, that a file of this key has.
  Found find(const std::string& key, std::span<const Token> tokens) const;
  // Calls `done` with the file on the store's thread; with nothing if it is gone or bad. Not called
  // any more once the store is being destroyed.
  using Done = std::function<void(std::optional<PrefixFile>)>;
  void load(const Found& found, Done done);

  // True if put() would keep it: long enough, and no file has it already.
  bool wants(const std::string& key, std::span<const Token> tokens) const;
  // Takes the state of these tokens. Dropped when too much waits.
  void put(const std::string& key, std::span<const Token> tokens, State state);

  struct Figures {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;  // too much waited, or the disk refused
    std::uint64_t removed_bad = 0;
  };
  Figures figures() const;
  // Returns when nothing waits.
  void flush();

 private:
  struct File {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  // a number that grows with each use
  };
  struct Pending {
    std::string key;
    std::vector<Token> tokens;
    State state;
  };

  PrefixStore(const PrefixStoreOptions& options, base::Logger log);
  void scan();
  void adopt(const std::filesystem::path& path);
  void add(const std::string& key, std::span<const Token> tokens, File file);
  void forget(std::int32_t number, bool remove_file);
  void forget_oldest();  // there is a file
  void make_room(std::uint64_t bytes);
  void work();
  std::optional<PrefixFile> read(std::int32_t number);
  void write(const Pending& pending);

  PrefixStoreOptions options_;
  base::Logger log_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  KvTree tree_;  // its slots are the numbers of the files
  std::map<std::int32_t, File> files_;
  std::vector<std::int32_t> free_numbers_;
  std::uint64_t bytes_ = 0;
  std::uint64_t uses_ = 0;
  struct Load {
    std::int32_t number = 0;
    Done done;
  };
  std::deque<Load> loads_;
  std::deque<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
  std::size_t tokens_limit_ = std::size_t(-1);  // states of so many are too large to wait
  bool busy_ = false;
  bool stopping_ = false;
  Figures figures_;
  std::thread worker_;
};

}  // namespace deepseek::engine
