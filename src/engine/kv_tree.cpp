#include "engine/kv_tree.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

struct KvTree::Node {
  Node* parent = nullptr;
  std::int32_t end = 0;  // tokens from the root to the end of this node
  std::vector<Token> tokens;
  std::vector<std::unique_ptr<Node>> children;
  std::vector<std::int32_t> ends;  // slots whose path ends here
  std::int32_t passing = 0;        // slots that end here or below
  std::int32_t busy = 0;           // of those, busy ones

  std::int32_t size() const { return static_cast<std::int32_t>(tokens.size()); }
  std::int32_t begin() const { return end - size(); }
};

std::int32_t common_length(std::span<const Token> a, std::span<const Token> b) {
  const auto both = std::min(a.size(), b.size());
  const auto [end, other] =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(both), b.begin());
  return static_cast<std::int32_t>(end - a.begin());
}

KvTree::KvTree(std::int32_t slots) : slots_(static_cast<std::size_t>(slots)) {}
KvTree::~KvTree() = default;

KvTree::Match KvTree::find(const std::string& key, std::span<const Token> tokens) const {
  const auto root = roots_.find(key);
  if (root == roots_.end()) return {};
  const Node* last = root->second.get();
  Match match = longest(*last, tokens, last);
  if (match.length == 0) return match;
  while (last->ends.empty()) last = last->children.front().get();
  match.slot = last->ends.front();
  return match;
}

// The longest way down from `node`, and the node in which it ends. Several children may begin alike
// when the same tokens were computed by two slots at the same time.
KvTree::Match KvTree::longest(const Node& node, std::span<const Token> tokens, const Node*& last) {
  Match best;
  for (const auto& child : node.children) {
    const std::int32_t common = common_length(child->tokens, tokens);
    if (common == 0) continue;
    const Node* end = child.get();
    Match match{-1, common, child->busy > 0 ? common : 0};
    if (common == child->size()) {
      const Match rest = longest(*child, tokens.subspan(static_cast<std::size_t>(common)), end);
      match.length += rest.length;
      match.busy += rest.busy;
    }
    if (match.length < best.length) continue;
    if (match.length == best.length && match.busy <= best.busy) continue;
    best = match;
    last = end;
  }
  return best;
}

void KvTree::open(std::int32_t slot, const std::string& key) {
  std::unique_ptr<Node>& root = roots_[key];
  if (!root) root = std::make_unique<Node>();
  at(slot).key = key;
  at(slot).busy = true;
  enter(root.get(), slot);
}

// The slot's path, which ended at an ancestor of `node` or nowhere, ends there.
void KvTree::enter(Node* node, std::int32_t slot) {
  Slot& entry = at(slot);
  Node* const from = entry.node;
  if (from != nullptr) std::erase(from->ends, slot);
  for (Node* up = node; up != from; up = up->parent) {
    ++up->passing;
    if (entry.busy && up->busy++ == 0) cells_busy_ += up->size();
  }
  node->ends.push_back(slot);
  entry.node = node;
}

void KvTree::share(std::int32_t slot, std::int32_t other, std::int32_t length) {
  if (length > 0) enter(node_at(at(other).node, length), slot);
}

// The ancestor of `node`, or itself, that ends at this depth; made if there is none.
KvTree::Node* KvTree::node_at(Node* node, std::int32_t depth) {
  while (node->begin() >= depth && node->parent != nullptr) node = node->parent;
  return node->end == depth ? node : split(node, depth);
}

// Cuts the node in two and returns the upper half, which ends at `depth`.
KvTree::Node* KvTree::split(Node* node, std::int32_t depth) {
  auto upper = std::make_unique<Node>();
  const auto cut = node->tokens.begin() + (depth - node->begin());
  upper->tokens.assign(node->tokens.begin(), cut);
  node->tokens.erase(node->tokens.begin(), cut);
  upper->parent = node->parent;
  upper->end = depth;
  upper->passing = node->passing;
  upper->busy = node->busy;
  for (std::unique_ptr<Node>& place : node->parent->children) {
    if (place.get() != node) continue;
    upper->children.push_back(std::move(place));
    place = std::move(upper);
    node->parent = place.get();
    break;
  }
  return node->parent;
}

void KvTree::extend(std::int32_t slot, std::span<const Token> tokens) {
  if (tokens.empty()) return;
  const auto count = static_cast<std::int32_t>(tokens.size());
  Node* node = at(slot).node;
  cells_ += count;
  if (node->parent != nullptr && node->passing == 1) {
    node->tokens.insert(node->tokens.end(), tokens.begin(), tokens.end());
    node->end += count;
    if (node->busy > 0) cells_busy_ += count;
    return;
  }
  auto child = std::make_unique<Node>();
  child->parent = node;
  child->end = node->end + count;
  child->tokens.assign(tokens.begin(), tokens.end());
  node->children.push_back(std::move(child));
  enter(node->children.back().get(), slot);
}

void KvTree::trim(std::int32_t slot, std::int32_t length) {
  if (length >= this->length(slot)) return;
  leave(slot, node_at(at(slot).node, length));
}

// The slot's path ends at `until`, an ancestor of where it ended; nodes that nobody passes go.
void KvTree::leave(std::int32_t slot, Node* until) {
  Slot& entry = at(slot);
  Node* node = entry.node;
  std::erase(node->ends, slot);
  while (node != until) {
    Node* const parent = node->parent;
    --node->passing;
    if (entry.busy && --node->busy == 0) cells_busy_ -= node->size();
    if (node->passing == 0) {
      cells_ -= node->size();
      std::erase_if(parent->children, [&](const auto& child) { return child.get() == node; });
    } else {
      merge_with_only_child(node);
    }
    node = parent;
  }
  until->ends.push_back(slot);
  entry.node = until;
}

// A node at which nothing branches and nobody ends is one with its child.
void KvTree::merge_with_only_child(Node* node) {
  if (node->parent == nullptr || !node->ends.empty() || node->children.size() != 1) return;
  std::unique_ptr<Node> child = std::move(node->children.front());
  node->tokens.insert(node->tokens.end(), child->tokens.begin(), child->tokens.end());
  node->end = child->end;
  node->ends = std::move(child->ends);
  node->children = std::move(child->children);
  for (const auto& grandchild : node->children) grandchild->parent = node;
  for (const std::int32_t slot : node->ends) at(slot).node = node;
}

void KvTree::close(std::int32_t slot) {
  Slot& entry = at(slot);
  Node* const root = roots_.at(entry.key).get();
  leave(slot, root);
  std::erase(root->ends, slot);
  --root->passing;
  if (entry.busy) --root->busy;
  drop_root(entry.key);
  entry = Slot{};
}

void KvTree::drop_root(const std::string& key) {
  const auto root = roots_.find(key);
  if (root->second->passing == 0) roots_.erase(root);
}

void KvTree::set_busy(std::int32_t slot, bool busy) {
  Slot& entry = at(slot);
  if (entry.busy == busy) return;
  entry.busy = busy;
  for (Node* node = entry.node; node != nullptr; node = node->parent) {
    if (busy) {
      if (node->busy++ == 0) cells_busy_ += node->size();
    } else if (--node->busy == 0) {
      cells_busy_ -= node->size();
    }
  }
}

std::int32_t KvTree::length(std::int32_t slot) const {
  return at(slot).node->end;
}

std::vector<Token> KvTree::tokens(std::int32_t slot) const {
  std::vector<Token> tokens(static_cast<std::size_t>(length(slot)));
  for (const Node* node = at(slot).node; node->parent != nullptr; node = node->parent) {
    std::copy(node->tokens.begin(), node->tokens.end(), tokens.begin() + node->begin());
  }
  return tokens;
}

std::int32_t KvTree::own(std::int32_t slot) const {
  std::int32_t cells = 0;
  for (const Node* node = at(slot).node; node->passing == 1 && node->parent != nullptr;
       node = node->parent) {
    cells += node->size();
  }
  return cells;
}

}  // namespace deepseek::engine
