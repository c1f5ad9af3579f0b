// The tree of a YAML file along the table, and the lines of an INI file.
#include "server/configuration_text.hpp"
#include "server/setting.hpp"

#include <filesystem>
#include <map>

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
    if (member.key == "models") return models(member);
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
      value(member.key + "." + setting.key, setting);
    }
  }

  void models(const YamlNode::Member& member) {
    if (member.value.kind == Kind::null) return;
    if (member.value.kind != Kind::list) {
      return wrong_kind(member.line, "models", member.value.kind,
                        "a list with name and path of each model");
    }
    entries_.models = member.value.items.size();
    entries_.models_source = source(member.line);
    for (std::size_t index = 0; index < member.value.items.size(); ++index) {
      const YamlNode& model = member.value.items[index];
      const std::string prefix = "models[" + std::to_string(index) + "]";
      entries_.model_sources.push_back(source(model.line));
      if (model.kind != Kind::map) {
        wrong_kind(model.line, prefix, model.kind, "a map with name and path");
        continue;
      }
      for (const auto& setting : model.members) value(prefix + "." + setting.key, setting);
    }
  }

  void value(const std::string& full_name, const YamlNode::Member& member) {
    const auto match = find_setting(full_name);
    if (!match) {
      return problem(member.line, "found the unknown key " + shown_key(full_name) + "; " +
                                      describe_unknown(full_name));
    }
    if (member.value.kind != Kind::scalar) {
      return wrong_kind(member.line, shown_key(full_name), member.value.kind,
                        allowed_text(*match->setting));
    }
    entries_.values.push_back({full_name, member.value.scalar, source(member.line), directory_});
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
