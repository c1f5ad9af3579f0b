#include "engine/special_text.hpp"

#include "engine/json_relay.hpp"

#include <boost/json/parse.hpp>
#include <charconv>
#include <utility>

namespace deepseek::engine {
namespace {

// Private-use characters: no template looks for them.
std::string open_mark(std::string_view nonce) {
  return "\xEE\x80\x80" + std::string(nonce) + "\xEE\x80\x81";
}
std::string close_mark(std::string_view nonce) {
  return "\xEE\x80\x82" + std::string(nonce) + "\xEE\x80\x83";
}

// Stands between the two marks before the number of an image; no special token begins so.
constexpr std::string_view image_sign = "\xEE\x80\x84";

PromptPiece piece_of(std::string_view guarded) {
  PromptPiece piece{std::string(guarded), true};
  std::size_t image = 0;
  if (!guarded.starts_with(image_sign)) return piece;
  guarded.remove_prefix(image_sign.size());
  const auto read = std::from_chars(guarded.data(), guarded.data() + guarded.size(), image);
  if (read.ec != std::errc()) return piece;
  return {{}, false, image};
}

}  // namespace

SpecialText::SpecialText(const std::vector<std::string>& specials) : nodes_(1) {
  for (const std::string& special : specials) {
    if (special.empty()) continue;
    std::uint32_t node = 0;
    for (const char character : special) {
      const auto found = nodes_[node].next.find(character);
      if (found != nodes_[node].next.end()) {
        node = found->second;
        continue;
      }
      const auto added = static_cast<std::uint32_t>(nodes_.size());
      nodes_[node].next.emplace(character, added);
      nodes_.emplace_back();
      node = added;
    }
    nodes_[node].end = true;
  }
}

std::size_t SpecialText::match(std::string_view text) const {
  std::size_t longest = 0;
  std::uint32_t node = 0;
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto found = nodes_[node].next.find(text[length]);
    if (found == nodes_[node].next.end()) break;
    node = found->second;
    if (nodes_[node].end) longest = length + 1;
  }
  return longest;
}

std::string SpecialText::guard(std::string_view text, std::string_view nonce) const {
  std::string guarded;
  guarded.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = match(text);
    if (length == 0) {
      guarded += text.front();
      text.remove_prefix(1);
      continue;
    }
    guarded += open_mark(nonce);
    guarded += text.substr(0, length);
    guarded += close_mark(nonce);
    text.remove_prefix(length);
  }
  return guarded;
}

std::string SpecialText::guard_json(std::string_view json, std::string_view nonce) const {
  std::string guarded;
  guarded.reserve(json.size());
  while (!json.empty()) {
    const std::size_t begin = json.find('"');
    guarded += json.substr(0, begin);
    if (begin == std::string_view::npos) break;
    std::size_t end = begin + 1;
    while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    const std::string_view literal = json.substr(begin, end + 1 - begin);
    json.remove_prefix(begin + literal.size());
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(literal, error);
    if (error || !value.is_string()) {
      guarded += literal;
      continue;
    }
    const std::string text = guard(value.get_string(), nonce);
    if (text == std::string_view(value.get_string())) {
      guarded += literal;
    } else {
      guarded += json_string(text);
    }
  }
  return guarded;
}

std::string SpecialText::image_mark(std::size_t image, std::string_view nonce) {
  return open_mark(nonce) + std::string(image_sign) + std::to_string(image) + close_mark(nonce);
}

base::Result<std::vector<PromptPiece>> SpecialText::cut(std::string_view rendered,
                                                        std::string_view nonce) {
  const std::string open = open_mark(nonce);
  const std::string close = close_mark(nonce);
  std::vector<PromptPiece> pieces;
  while (!rendered.empty()) {
    const std::size_t begin = rendered.find(open);
    const std::string_view outside = rendered.substr(0, begin);
    const std::size_t end = rendered.find(close);
    const bool torn = outside.find(close) != std::string_view::npos ||
                      (begin != std::string_view::npos && end == std::string_view::npos);
    if (torn) {
      return base::make_error(base::ErrorCode::invalid_request,
                              "A message holds a special token of this model, and the model's "
                              "chat template cannot carry it as text. Leave it out.",
                              "messages");
    }
    if (!outside.empty()) pieces.push_back({std::string(outside), false});
    if (begin == std::string_view::npos) break;
    const std::size_t inner = begin + open.size();
    pieces.push_back(piece_of(rendered.substr(inner, end - inner)));
    rendered.remove_prefix(end + close.size());
  }
  return pieces;
}

}  // namespace deepseek::engine
