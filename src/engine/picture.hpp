// Images in a prompt. Each becomes rows of numbers that the model reads where the embeddings of
// tokens would stand, so in a sequence's tokens each row has an id of its own: below zero, which no
// vocabulary has. Equal ids are equal rows, so cells are found and shared by them as by tokens.
//
// Values, but for PictureStore, which belongs to one thread (the link's worker for images).
#pragma once

#include "base/digest.hpp"
#include "base/result.hpp"
#include "engine/kv_tree.hpp"

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace deepseek::engine {

// The first id of a row, and the last. llama.cpp says -1 for no token.
inline constexpr Token kRowFirst = -2;
inline constexpr Token kRowLast = INT32_MIN;

inline bool is_row(Token token) {
  return token <= kRowFirst;
}
// How many of them are of the same kind as the first, rows or tokens of the vocabulary; a model
// computes one kind at a time.
std::int32_t one_kind(std::span<const Token> tokens);

// One image as one model reads it. The next row has the next lower id.
struct Picture {
  std::vector<Token> tokens;  // what stands for it in a prompt: rows, and marks around them
  Token first = kRowFirst;    // id of its first row
  std::int32_t rows = 0;
  std::int32_t width = 0;
  std::vector<float> values;  // [rows][width]

  bool has(Token row) const { return row <= first && row > first - rows; }
  std::span<const float> row(Token id) const;
};
using PicturePointer = std::shared_ptr<const Picture>;

// Those of one prompt, in their order.
using Pictures = std::vector<PicturePointer>;

// The numbers of a row that is in one of them.
std::span<const float> row_of(const Pictures& pictures, Token row);

// What a model made of an image, before its rows have ids.
struct Sight {
  struct Piece {
    std::vector<Token> tokens;  // of the vocabulary
    std::int32_t rows = 0;      // or that many rows
  };
  std::vector<Piece> pieces;
  std::int32_t width = 0;
  std::vector<float> values;  // of all rows, in order
};

// The part of a model that reads images. One thread.
class VisionModel {
 public:
  virtual ~VisionModel() = default;
  // `file` is PNG or JPEG. `invalid_request`, which names `param`, if it cannot be read.
  virtual base::Result<Sight> see(std::string_view file, const std::string& param) = 0;
};

// Gives rows their ids, and remembers images: an agent sends the same one in each turn.
class PictureStore {
 public:
  struct Options {
    std::uint64_t bytes_max = 256ULL << 20;     // of rows that are remembered; the last used stay
    std::uint64_t live_bytes_max = 2ULL << 30;  // with those that requests hold
    std::size_t known_max = 65536;              // images whose ids are remembered
    Token row_last = kRowLast;                  // then ids begin anew; for tests
  };
  explicit PictureStore(VisionModel& model) : PictureStore(model, Options{}) {}
  PictureStore(VisionModel& model, const Options& options) : model_(model), options_(options) {}

  // Errors: the model's own; queue_full while requests hold too many rows.
  base::Result<PicturePointer> look(std::string_view file, const std::string& param);

  struct Figures {
    std::uint64_t seen = 0;   // images that the model had to look at
    std::uint64_t bytes = 0;  // of rows that are remembered
    std::uint64_t live_bytes = 0;
  };
  Figures figures() const { return {figures_.seen, figures_.bytes, *live_bytes_}; }

 private:
  struct Known {
    base::Sha256Digest digest{};
    Token first = 0;
    std::int32_t rows = 0;
    PicturePointer picture;  // null: forgotten, but its ids are not
  };
  using Place = std::list<Known>::iterator;  // the last used is in front

  PicturePointer keep(Picture picture);
  base::Result<Token> take_ids(std::int32_t rows);
  void forget_more();

  VisionModel& model_;
  Options options_;
  std::list<Known> known_;
  std::unordered_map<base::Sha256Digest, Place, base::DigestHash> places_;
  std::int64_t next_ = kRowFirst;
  Figures figures_;
  // Of all pictures there are; they are freed on other threads, and may outlive the store.
  std::shared_ptr<std::atomic<std::uint64_t>> live_bytes_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace deepseek::engine
