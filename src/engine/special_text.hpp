// Keeps special tokens that a user wrote as text from becoming special tokens.
//
// A rendered chat prompt must be tokenized with special tokens on, or the template's own would be
// lost; then "<|im_end|>" inside a message would end it. So each occurrence in a message is put
// between two marks before the template runs, and the rendered prompt is cut at the marks: what
// stands inside is tokenized as plain text. Messages without such text are not touched at all.
// Pure; immutable after construction.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::engine {

struct PromptPiece {
  std::string text;
  bool plain = false;                  // special tokens in it stay text
  std::optional<std::size_t> image{};  // it is a place of that image, and has no text
  bool operator==(const PromptPiece&) const = default;
};

class SpecialText {
 public:
  // `specials`: how the vocabulary's special tokens are written; empty ones are ignored.
  explicit SpecialText(const std::vector<std::string>& specials);

  // `text` with every special token between marks; `nonce` makes the marks unguessable.
  std::string guard(std::string_view text, std::string_view nonce) const;
  // The same for each string and key of JSON text, whichever way it is escaped; `json` must be
  // valid. What has no special token stays as it is.
  std::string guard_json(std::string_view json, std::string_view nonce) const;
  // What stands for an image in a guarded text, counted from 0.
  static std::string image_mark(std::size_t image, std::string_view nonce);
  // Cuts what the template made of guarded texts. `invalid_request` when the template tore a pair
  // of marks apart.
  static base::Result<std::vector<PromptPiece>> cut(std::string_view rendered,
                                                    std::string_view nonce);

 private:
  std::size_t match(std::string_view text) const;  // length of the longest special token here

  struct Node {
    std::map<char, std::uint32_t> next;
    bool end = false;
  };
  std::vector<Node> nodes_;  // a trie over the special tokens; the first is the root
};

}  // namespace deepseek::engine
