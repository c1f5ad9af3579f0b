#include "engine/kv_pool.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

// A slot loses its tokens in pieces, not one for every token that somebody else needs.
constexpr std::int32_t kEvictedMin = 64;

}  // namespace

KvPool::KvPool(const KvPoolOptions& options)
    : options_(options), tree_(options.slots), saved_(static_cast<std::size_t>(options.slots)) {
  for (std::int32_t slot = options.slots; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

KvTree::Match KvPool::find(const std::string& key, std::span<const Token> tokens) const {
  if (tokens.empty()) return {};
  return tree_.find(key, tokens.first(tokens.size() - 1));
}

std::int32_t KvPool::take(const std::string& key, std::span<const Token> tokens, bool reuse) {
  const KvTree::Match match = reuse ? find(key, tokens) : KvTree::Match{};
  const auto at_rest = std::find(resting_.begin(), resting_.end(), match.slot);
  const bool whole = at_rest != resting_.end() && tree_.length(match.slot) == match.length;
  // Where no slot is free, the one that goes first may be the one that is wanted.
  const bool last_resort =
      free_slots_.empty() && at_rest == resting_.begin() && at_rest != resting_.end();
  if (whole || last_resort) {
    resting_.erase(at_rest);
    tree_.set_busy(match.slot, true);
    trim(match.slot, match.length);
    return match.slot;
  }
  if (free_slots_.empty()) evict(resting_.front(), options_.cells);
  const std::int32_t slot = free_slots_.back();
  free_slots_.pop_back();
  tree_.open(slot, key);
  if (match.length > 0) {
    tree_.share(slot, match.slot, match.length);
    saved_[static_cast<std::size_t>(slot)] =
        std::min(saved_[static_cast<std::size_t>(match.slot)], match.length);
    changes_.push_back({CacheChange::Kind::share, slot, match.slot, match.length});
  }
  return slot;
}

void KvPool::trim(std::int32_t slot, std::int32_t length) {
  if (length >= tree_.length(slot)) return;
  tree_.trim(slot, length);
  std::int32_t& saved = saved_[static_cast<std::size_t>(slot)];
  saved = std::min(saved, length);
  changes_.push_back({CacheChange::Kind::keep, slot, -1, length});
}

std::int32_t KvPool::slide_cost(std::int32_t slot, std::int32_t count) const {
  return tree_.length(slot) - tree_.own(slot) - count;
}

void KvPool::slide(std::int32_t slot, std::int32_t first, std::int32_t count,
                   const std::string& key) {
  std::vector<Token> tokens = tree_.tokens(slot);
  tokens.erase(tokens.begin() + first, tokens.begin() + first + count);
  tree_.close(slot);
  tree_.open(slot, key);
  tree_.extend(slot, tokens);
  saved_[static_cast<std::size_t>(slot)] = 0;
  changes_.push_back({CacheChange::Kind::slide, slot, first, count});
}

void KvPool::cut(std::int32_t slot) {
  changes_.push_back({CacheChange::Kind::keep, slot, -1, tree_.length(slot)});
}

void KvPool::restore(std::int32_t slot, State state, std::span<const Token> tokens) {
  trim(slot, 0);
  tree_.extend(slot, tokens);
  const auto length = static_cast<std::int32_t>(tokens.size());
  saved_[static_cast<std::size_t>(slot)] = length;
  changes_.push_back({CacheChange::Kind::restore, slot, -1, length, {}, {}, std::move(state)});
}

bool KvPool::save_one() {
  return std::any_of(resting_.rbegin(), resting_.rend(),
                     [this](std::int32_t slot) { return note_save(slot); });
}

// Once for each slot, and again when it has grown by much.
bool KvPool::note_save(std::int32_t slot) {
  std::int32_t& saved = saved_[static_cast<std::size_t>(slot)];
  const std::int32_t length = tree_.length(slot);
  if (options_.saved_min <= 0 || length < saved + options_.saved_min) return false;
  saved = length;
  changes_.push_back(
      {CacheChange::Kind::save, slot, -1, length, tree_.key(slot), tree_.tokens(slot)});
  return true;
}

void KvPool::rest(std::int32_t slot, bool first_to_go) {
  tree_.set_busy(slot, false);
  resting_.insert(first_to_go ? resting_.begin() : resting_.end(), slot);
  // Others have all that it has.
  if (tree_.own(slot) == 0) return drop(slot);
  while (tree_.cells() - tree_.cells_busy() > options_.resting_cells_max) {
    const std::int32_t over = tree_.cells() - tree_.cells_busy() - options_.resting_cells_max;
    evict(resting_.front(), over);
  }
}

bool KvPool::make_room(std::int32_t cells) {
  while (unused() < cells && !resting_.empty()) {
    evict(resting_.front(), std::max(cells - unused(), kEvictedMin));
  }
  return unused() >= cells;
}

// Takes so many cells from the end of a slot at rest, or all that only it has.
void KvPool::evict(std::int32_t slot, std::int32_t cells) {
  note_save(slot);
  const std::int32_t own = tree_.own(slot);
  if (own <= cells) return drop(slot);
  evicted_cells_ += static_cast<std::uint64_t>(cells);
  trim(slot, tree_.length(slot) - cells);
}

bool KvPool::drop_resting() {
  const bool any = !resting_.empty();
  while (!resting_.empty()) drop(resting_.back());
  return any;
}

void KvPool::drop(std::int32_t slot) {
  evicted_cells_ += static_cast<std::uint64_t>(tree_.own(slot));
  tree_.close(slot);
  saved_[static_cast<std::size_t>(slot)] = 0;
  std::erase(resting_, slot);
  free_slots_.push_back(slot);
  changes_.push_back({CacheChange::Kind::keep, slot, -1, 0});
}

std::vector<CacheChange> KvPool::take_changes() {
  return std::exchange(changes_, {});
}

}  // namespace deepseek::engine
