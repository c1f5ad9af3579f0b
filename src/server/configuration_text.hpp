// Reading the two file formats: YAML into a small tree of our own, INI into entries, and the tree
// into entries by the table.
//
// Pure. Bounded: size, depth and number of nodes; YAML anchors and aliases are refused. Duplicate
// keys are errors. No message repeats a value, since it might be a secret.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::server {

// The largest list, access.keys with 10,000 entries, must fit.
inline constexpr std::size_t configuration_file_max = 2u << 20;  // bytes
inline constexpr std::size_t configuration_depth_max = 8;
inline constexpr std::size_t configuration_nodes_max = 100'000;
inline constexpr std::size_t configuration_problems_max = 20;

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  struct Member;

  Kind kind = Kind::null;
  int line = 0;  // from 1
  std::string scalar;
  std::vector<YamlNode> items;  // of a list
  std::vector<Member> members;  // of a map
};
struct YamlNode::Member {
  std::string key;
  int line = 0;
  YamlNode value;
};

// One value for one setting, from any source. Lists and maps have the form of
// setting_list_text.hpp.
struct Entry {
  std::string name;  // "models[0].path"
  std::string value;
  std::string source;     // "config/dev.yaml:12", "environment variable …", "--set"
  std::string directory;  // of the file it stands in
};

// What the entries of one file do beside setting values.
struct Entries {
  struct List {
    std::string source;              // its place
    std::vector<std::string> items;  // the place of each entry
  };
  std::vector<Entry> values;
  std::map<std::string, List, std::less<>> lists;  // by name, those that the file has
  std::string aliases_source;                      // set if the file has the section
};

// `name` is the file as messages shall call it. An empty file is an empty map.
base::Result<YamlNode> parse_yaml(const std::string& text, std::string_view name);
// Walks the tree along the table. Everything that is wrong is appended to `problems`.
Entries flatten_yaml(const YamlNode& root, std::string_view name,
                     std::vector<std::string>& problems);
// "[section]", "key = value", comments after ; or #, values in quotes taken as they are.
std::vector<Entry> parse_ini(std::string_view text, std::string_view name,
                             std::vector<std::string>& problems);

}  // namespace deepseek::server
