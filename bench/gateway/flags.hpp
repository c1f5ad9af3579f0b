// Command lines of the form --name value, for the two programs of this benchmark. Every flag that a
// program knows is in its table with a default; another one ends the program with status 2.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

class Flags {
 public:
  Flags(int count, char** words, std::map<std::string, std::string, std::less<>> defaults)
      : values_(std::move(defaults)) {
    for (int at = 1; at < count; at += 2) {
      const std::string_view word = words[at];
      const auto found = word.starts_with("--") ? values_.find(word.substr(2)) : values_.end();
      if (found == values_.end() || at + 1 >= count) {
        std::fprintf(stderr, "%s: unknown flag, or no value after it\n", words[at]);
        std::exit(2);
      }
      found->second = words[at + 1];
      given_.emplace_back(found->first, found->second);
    }
  }

  const std::string& text(std::string_view name) const { return values_.find(name)->second; }

  double number(std::string_view name) const {
    const std::string& value = text(name);
    double found = 0;
    const auto end = value.data() + value.size();
    if (std::from_chars(value.data(), end, found).ptr != end || value.empty()) {
      std::fprintf(stderr, "--%s %s: not a number\n", std::string(name).c_str(), value.c_str());
      std::exit(2);
    }
    return found;
  }

  /// A whole number; what is behind the point is cut off.
  std::int64_t whole(std::string_view name) const {
    return static_cast<std::int64_t>(number(name));
  }

  /// Every value of a flag that was given more than once, in order.
  std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> found;
    for (const auto& [flag, value] : given_) {
      if (flag == name) found.push_back(value);
    }
    return found;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::pair<std::string, std::string>> given_;
};

}  // namespace bench
