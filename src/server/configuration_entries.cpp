// The tree of a YAML file along the table, and the lines of an INI file.
#include "server/configuration_text.hpp"
#include "server/setting.hpp"
#include "server/setting_list_text.hpp"

#include <filesystem>
#include <map>
#include <optional>

namespace deepseek::server {
namespace {

using Kind = YamlNode::Kind;

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return "a single value";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a map";
  }
  return "nothing";
}

// A key as messages show it: short, and on one line.
std::string shown_key(std::string_view key) {
  constexpr std::size_t shown_max = 80;
  std::string text;
  for (const char c : key.substr(0, shown_max)) {
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return text;
}

class Flattener {
 public:
  Flattener(std::string_view name, std::vector<std::string>& problems)
      : name_(name),
        directory_(std::filesystem::path(name).parent_path().string()),
        problems_(problems) {}

  Entries run(const YamlNode& root) {
    if (root.kind == Kind::null) return std::move(entries_);
    if (root.kind != Kind::map) {
      wrong_kind(root.line, "the file", root.kind, "a map of sections");
      return std::move(entries_);
    }
    for (const auto& member : root.members) top_level(member);
    return std::move(entries_);
  }

 private:
  std::string source(int line) const { return name_ + ":" + std::to_string(line); }

  void problem(int line, const std::string& what) {
    problems_.push_back(source(line) + ": " + what);
  }

  void wrong_kind(int line, const std::string& what, Kind found, const std::string& allowed) {
    problem(line, what + ": found " + std::string(kind_name(found)) + "; allowed is " + allowed);
  }

  void top_level(const YamlNode::Member& member) {
    if (const ListRow* list = find_list(member.key)) return this->list(*list, member);
    for (const Section& section : sections()) {
      if (section.name == member.key && !section.name.empty()) return this->section(member);
    }
    value(member.key, member);
  }

  void section(const YamlNode::Member& member) {
    // A section whose lines are all comments is left out.
    if (member.value.kind == Kind::null) return;
    if (member.value.kind != Kind::map) {
      return wrong_kind(member.line, member.key, member.value.kind, "a map of settings");
    }
    if (member.key == "aliases") entries_.aliases_source = source(member.line);
    for (const auto& setting : member.value.members) {
      const std::string name = member.key + "." + setting.key;
      if (const ListRow* const list = find_list(name)) {
        this->list(*list, setting);
      } else {
        value(name, setting);
      }
    }
  }

  void list(const ListRow& row, const YamlNode::Member& member) {
    if (member.value.kind == Kind::null) return;
    const std::string name(row.name);
    const std::string members(row.members);
    if (member.value.kind != Kind::list) {
      return wrong_kind(member.line, name, member.value.kind,
                        "a list with " + members + " of each entry");
    }
    const std::vector<YamlNode>& items = member.value.items;
    if (items.size() > row.entries_max) {
      return problem(member.line, name + ": found a list of " + std::to_string(items.size()) +
                                      "; allowed are 0 to " + std::to_string(row.entries_max) +
                                      " entries");
    }
    Entries::List& list = entries_.lists[name];
    list.source = source(member.line);
    for (std::size_t index = 0; index < items.size(); ++index) {
      const std::string entry = entry_name(name, index);
      list.items.push_back(source(items[index].line));
      if (items[index].kind != Kind::map) {
        wrong_kind(items[index].line, entry, items[index].kind, "a map with " + members);
        continue;
      }
      for (const auto& setting : items[index].members) value(entry + "." + setting.key, setting);
    }
  }

  void value(const std::string& full_name, const YamlNode::Member& member) {
    const auto match = find_setting(full_name);
    if (!match) {
      return problem(member.line, "found the unknown key " + shown_key(full_name) + "; " +
                                      describe_unknown(full_name));
    }
    const auto text = text_of(member.value, *match->setting);
    if (!text) {
      return wrong_kind(member.line, shown_key(full_name), member.value.kind,
                        allowed_text(*match->setting));
    }
    entries_.values.push_back({full_name, *text, source(member.line), directory_});
  }

  // A list or a map as the one text that the setting takes; nothing if it has no such form.
  static std::optional<std::string> text_of(const YamlNode& node, const Setting& setting) {
    if (node.kind == Kind::scalar) return node.scalar;
    if (node.kind == Kind::list && value_form(setting) == ValueForm::list) {
      std::vector<std::string> items;
      for (const YamlNode& item : node.items) {
        if (item.kind != Kind::scalar) return std::nullopt;
        items.push_back(item.scalar);
      }
      return join_list(items);
    }
    if (node.kind == Kind::map && value_form(setting) == ValueForm::map) {
      std::map<std::string, std::string> members;
      for (const YamlNode::Member& member : node.members) {
        if (member.value.kind != Kind::scalar) return std::nullopt;
        members.emplace(member.key, member.value.scalar);
      }
      return join_map(members);
    }
    return std::nullopt;
  }

  std::string name_;
  std::string directory_;
  std::vector<std::string>& problems_;
  Entries entries_;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// The value up to a comment, or what stands between quotes. False when a quote is left open.
bool ini_value(std::string_view text, std::string& value) {
  text = trim(text);
  if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
    const auto close = text.find(text.front(), 1);
    if (close == std::string_view::npos) return false;
    const auto rest = trim(text.substr(close + 1));
    if (!rest.empty() && rest.front() != ';' && rest.front() != '#') return false;
    value = std::string(text.substr(1, close - 1));
    return true;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool comment = text[i] == ';' || text[i] == '#';
    if (comment && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      text = text.substr(0, i);
      break;
    }
  }
  value = std::string(trim(text));
  return true;
}

class IniReader {
 public:
  IniReader(std::string_view name, std::vector<std::string>& problems)
      : name_(name),
        directory_(std::filesystem::path(name).parent_path().string()),
        problems_(problems) {}

  std::vector<Entry> run(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (int line = 1; !text.empty(); ++line) {
      const auto end = text.find('\n');
      read(trim(text.substr(0, end)), line);
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
      if (problems_.size() > configuration_problems_max) break;
    }
    return std::move(entries_);
  }

 private:
  void read(std::string_view line, int number) {
    if (line.empty() || line.front() == ';' || line.front() == '#') return;
    const std::string source = name_ + ":" + std::to_string(number);
    if (line.front() == '[') {
      const auto close = line.rfind(']');
      std::string rest;
      if (close == std::string_view::npos || !ini_value(line.substr(close + 1), rest) ||
          !rest.empty()) {
        problems_.push_back(source + ": found a section without its ]; allowed is [section]");
        return;
      }
      section_ = std::string(trim(line.substr(1, close - 1)));
      return;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) {
      problems_.push_back(source +
                          ": found a line without =; allowed are [section], key = value, and "
                          "comments after ; or #");
      return;
    }
    const std::string key(trim(line.substr(0, equals)));
    const std::string full_name = section_.empty() ? key : section_ + "." + key;
    if (!find_setting(full_name)) {
      problems_.push_back(source + ": found the unknown key " + shown_key(full_name) + "; " +
                          describe_unknown(full_name));
      return;
    }
    std::string value;
    if (!ini_value(line.substr(equals + 1), value)) {
      problems_.push_back(source + ": " + full_name +
                          ": found a quote that is left open, or text after it");
      return;
    }
    entries_.push_back({full_name, value, source, directory_});
  }

  std::string name_;
  std::string directory_;
  std::vector<std::string>& problems_;
  std::string section_;
  std::vector<Entry> entries_;
};

}  // namespace

Entries flatten_yaml(const YamlNode& root, std::string_view name,
                     std::vector<std::string>& problems) {
  return Flattener(name, problems).run(root);
}

std::vector<Entry> parse_ini(std::string_view text, std::string_view name,
                             std::vector<std::string>& problems) {
  return IniReader(name, problems).run(text);
}

}  // namespace deepseek::server
