// The cells that one request needs, found together by one look-up.
//
// Any thread; a shared lock, taken alone only when a name is new. Bounded: of names beyond the
// bound nothing is kept, they are looked up in the registry each time.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace deepseek::observe {

// `Cells` holds references to cells of a registry, which outlives the map.
template <class Cells>
class CellMap {
 public:
  struct Name {
    std::string_view text;
    int number = 0;
  };

  // `make(name)` makes those that are not known yet.
  template <class Make>
  Cells find(const Name& name, const Make& make) {
    {
      const std::shared_lock lock(mutex_);
      const auto known = map_.find(name);
      if (known != map_.end()) return known->second;
    }
    Cells made = make(name);
    const std::unique_lock lock(mutex_);
    if (map_.size() < names_max) map_.try_emplace({std::string(name.text), name.number}, made);
    return made;
  }

 private:
  static constexpr std::size_t names_max = 4096;

  struct Stored {
    std::string text;
    int number;
    operator Name() const { return {text, number}; }
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Name& name) const {
      return std::hash<std::string_view>()(name.text) + static_cast<std::size_t>(name.number);
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Name& left, const Name& right) const {
      return left.number == right.number && left.text == right.text;
    }
  };

  std::shared_mutex mutex_;
  std::unordered_map<Stored, Cells, Hash, Equal> map_;
};

}  // namespace deepseek::observe
