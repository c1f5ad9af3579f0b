// The bytes of an answer, piece by piece, without what a piece repeats of the one before it.
//
// The frames of a stream are alike but for a few characters, so that a token of 4 bytes costs 350
// on the wire and about 10 here. A whole body is one piece and is kept as it is. What comes out is
// what went in, byte for byte and with the same boundaries.
//
// Pure. A packer and an unpacker each belong to one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace deepseek::gateway {

class PiecePacker {
 public:
  // Appends one piece to `packed`.
  void add(std::string_view piece, std::string& packed);

 private:
  std::string previous_;
};

// Reads what a PiecePacker wrote, also while more is being added.
class PieceUnpacker {
 public:
  // Appends the next piece of `packed` to `out`. False at the end, and for bytes that no packer
  // has written; `out` is then untouched.
  bool next(std::string_view packed, std::string& out);
  // True when every byte of `packed` was read.
  bool at_end(std::string_view packed) const { return at_ == packed.size(); }

 private:
  std::string previous_;
  std::size_t at_ = 0;
};

}  // namespace deepseek::gateway
