#include "engine/picture.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

std::int32_t one_kind(std::span<const Token> tokens) {
  if (tokens.empty()) return 0;
  const bool rows = is_row(tokens.front());
  const auto other =
      std::ranges::find_if(tokens, [rows](Token token) { return is_row(token) != rows; });
  return static_cast<std::int32_t>(other - tokens.begin());
}

std::span<const float> Picture::row(Token id) const {
  const auto size = static_cast<std::size_t>(width);
  const auto index = static_cast<std::size_t>(std::int64_t{first} - id);
  return std::span(values).subspan(index * size, size);
}

std::span<const float> row_of(const Pictures& pictures, Token row) {
  const auto found = std::ranges::find_if(
      pictures, [row](const PicturePointer& picture) { return picture->has(row); });
  return found == pictures.end() ? std::span<const float>() : (*found)->row(row);
}

namespace {

std::uint64_t bytes_of(const Picture& picture) {
  return picture.values.size() * sizeof(float);
}

base::Error too_many() {
  base::Error error = base::make_error(base::ErrorCode::queue_full,
                                       "Too many images of other requests are in the engine.");
  error.retry_after = base::Milliseconds(1000);
  return error;
}

}  // namespace

base::Result<PicturePointer> PictureStore::look(std::string_view file, const std::string& param) {
  const base::Sha256Digest digest = base::sha256(file);
  const auto found = places_.find(digest);
  if (found != places_.end()) {
    known_.splice(known_.begin(), known_, found->second);
    if (found->second->picture) return found->second->picture;
  }
  if (*live_bytes_ >= options_.live_bytes_max) return too_many();
  base::Result<Sight> sight = model_.see(file, param);
  if (sight.has_error()) return sight.error();
  ++figures_.seen;
  Picture picture;
  for (const Sight::Piece& piece : sight->pieces) picture.rows += piece.rows;
  // The same file gives the same rows; were it otherwise, it would be another image.
  const bool same = found != places_.end() && found->second->rows == picture.rows;
  const base::Result<Token> first =
      same ? base::Result<Token>(found->second->first) : take_ids(picture.rows);
  if (first.has_error()) return first.error();
  picture.first = *first;
  picture.width = sight->width;
  picture.values = std::move(sight->values);
  Token row = *first;
  for (const Sight::Piece& piece : sight->pieces) {
    picture.tokens.insert(picture.tokens.end(), piece.tokens.begin(), piece.tokens.end());
    for (std::int32_t index = 0; index < piece.rows; ++index) picture.tokens.push_back(row--);
  }
  figures_.bytes += bytes_of(picture);
  const Known known{digest, *first, picture.rows, keep(std::move(picture))};
  if (found == places_.end()) {
    known_.push_front(known);
    places_.emplace(digest, known_.begin());
  } else {
    *found->second = known;
  }
  forget_more();
  return known.picture;
}

PicturePointer PictureStore::keep(Picture picture) {
  const std::uint64_t bytes = bytes_of(picture);
  *live_bytes_ += bytes;
  const auto forget = [live = live_bytes_, bytes](const Picture* dead) {
    delete dead;
    *live -= bytes;
  };
  return {new Picture(std::move(picture)), forget};
}

// Ids that no remembered image has. What bears those of a forgotten one has left the cells long
// ago: many thousands of images were read since.
base::Result<Token> PictureStore::take_ids(std::int32_t rows) {
  for (std::size_t tries = 0; tries <= known_.size() + 1; ++tries) {
    if (next_ - rows + 1 < options_.row_last) next_ = kRowFirst;
    if (next_ - rows + 1 < options_.row_last) break;
    const auto first = static_cast<Token>(next_);
    const auto taken = std::ranges::find_if(known_, [&](const Known& known) {
      return std::int64_t{first} - rows < known.first &&
             std::int64_t{known.first} - known.rows < first;
    });
    if (taken == known_.end()) {
      next_ -= rows;
      return first;
    }
    next_ = std::int64_t{taken->first} - taken->rows;
  }
  return base::make_error(base::ErrorCode::internal, "There are no ids left for an image.");
}

// The newest stays, however large it is.
void PictureStore::forget_more() {
  while (known_.size() > options_.known_max) {
    const Known& last = known_.back();
    if (last.picture) figures_.bytes -= bytes_of(*last.picture);
    places_.erase(last.digest);
    known_.pop_back();
  }
  for (auto at = known_.rbegin(); at != std::prev(known_.rend()); ++at) {
    if (figures_.bytes <= options_.bytes_max) return;
    if (!at->picture) continue;
    figures_.bytes -= bytes_of(*at->picture);
    at->picture.reset();
  }
}

}  // namespace deepseek::engine
