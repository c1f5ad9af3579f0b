#include "server/setting.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace deepseek::server {
namespace {

constexpr std::array section_table{
    Section{"", "Outside any section."},
    Section{"server", "Where the API listens, and how the process ends."},
    Section{"metrics", "GET /metrics for Prometheus, on a port of its own."},
    Section{"http", "Bounds of connections and requests; a refusal names the setting it hit."},
    Section{"tls", "TLS 1.3. Certificate and key, or neither."},
    Section{"log", "Lines on standard error. They hold no prompts and no keys."},
    Section{"models",
            "The models this server runs, each in an engine process of its own. A file "
            "that has this section replaces the whole list."},
    Section{"aliases",
            "Other names for the models. A file that has this section replaces the "
            "whole map."},
    Section{"engine", "How each model's engine process works."},
    Section{"memory", "Memory that may grow."},
    Section{"network", "Names that articles and older files use."},
    Section{"limits", "What one request may ask for; more is refused with 400."},
};

std::vector<const Setting*> make_table() {
  std::vector<const Setting*> rows;
  const std::array parts{server_settings(), engine_settings()};
  for (const Section& section : section_table) {
    for (const auto part : parts) {
      for (const Setting& setting : part) {
        if (setting.section() == section.name) rows.push_back(&setting);
      }
    }
  }
  return rows;
}

// Edit distance with swapped neighbours counted once; the names are short.
std::size_t distance(std::string_view left, std::string_view right) {
  const std::size_t width = right.size() + 1;
  std::vector<std::size_t> cells((left.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
    return cells[i * width + j];
  };
  for (std::size_t i = 0; i <= left.size(); ++i) at(i, 0) = i;
  for (std::size_t j = 0; j <= right.size(); ++j) at(0, j) = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = left[i - 1] == right[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return at(left.size(), right.size());
}

std::string_view last_part(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::string join(const std::vector<std::string_view>& names) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

// "models[12].path" → "models[].path" and 12. False for "models[x].path".
bool split_index(std::string_view name, std::string& pattern, std::size_t& index) {
  const auto open = name.find('[');
  if (open == std::string_view::npos) {
    pattern = std::string(name);
    return true;
  }
  const auto close = name.find(']', open);
  if (close == std::string_view::npos) return false;
  const auto digits = name.substr(open + 1, close - open - 1);
  const auto* const last = digits.data() + digits.size();
  const auto [end, code] = std::from_chars(digits.data(), last, index);
  if (digits.empty() || code != std::errc{} || end != last) return false;
  pattern = std::string(name.substr(0, open)) + "[]" + std::string(name.substr(close + 1));
  return true;
}

std::string concrete_name(const Setting& setting, const Item& item) {
  std::string name(setting.alias_of.empty() ? setting.name : setting.alias_of);
  if (const auto brackets = name.find("[]"); brackets != std::string::npos) {
    name.insert(brackets + 1, std::to_string(item.index));
  }
  if (setting.in_map()) name.replace(name.size() - 1, 1, item.key);
  return name;
}

}  // namespace

std::string_view Setting::section() const {
  const auto end = name.find_first_of(".[");
  return end == std::string_view::npos ? std::string_view{} : name.substr(0, end);
}

std::string_view Setting::leaf() const {
  return last_part(name);
}

std::span<const Section> sections() {
  return section_table;
}

std::span<const Setting* const> settings() {
  static const std::vector<const Setting*> rows = make_table();
  return rows;
}

std::optional<Match> find_setting(std::string_view name) {
  for (const Setting* setting : settings()) {
    if (!setting->in_map()) continue;
    const auto prefix = setting->name.substr(0, setting->name.size() - 1);  // "aliases."
    if (name.starts_with(prefix) && name.size() > prefix.size()) {
      Item item{0, std::string(name.substr(prefix.size()))};
      return Match{setting, item, concrete_name(*setting, item)};
    }
  }
  std::string pattern;
  Item item;
  if (!split_index(name, pattern, item.index)) return std::nullopt;
  for (const Setting* setting : settings()) {
    if (setting->name == pattern) {
      return Match{setting, item, concrete_name(*setting, item)};
    }
  }
  return std::nullopt;
}

std::string nearest_name(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t compared_max = 80;
  name = name.substr(0, compared_max);
  std::string_view nearest;
  std::size_t best = std::numeric_limits<std::size_t>::max();
  for (const std::string_view candidate : known) {
    std::size_t away = distance(name, candidate);
    // The right word in the wrong section is the likeliest slip.
    if (last_part(candidate) == last_part(name)) away = std::min<std::size_t>(away, 1);
    if (away < best) {
      best = away;
      nearest = candidate;
    }
  }
  return std::string(nearest);
}

std::string describe_unknown(std::string_view name) {
  std::vector<std::string_view> all;
  std::vector<std::string_view> beside;
  const auto end = name.find_first_of(".[");
  const auto section = end == std::string_view::npos ? std::string_view{} : name.substr(0, end);
  for (const Setting* setting : settings()) {
    all.push_back(setting->name);
    if (!section.empty() && setting->section() == section) beside.push_back(setting->leaf());
  }
  std::string text;
  if (!beside.empty()) {
    text = "allowed in " + std::string(section) + " are " + join(beside);
  } else {
    std::vector<std::string_view> names;
    for (const Section& known : section_table) {
      if (!known.name.empty()) names.push_back(known.name);
    }
    for (const Setting* setting : settings()) {
      if (setting->section().empty()) names.push_back(setting->name);
    }
    text = "allowed here are " + join(names);
    if (section.empty()) return text + "; the nearest known key is " + nearest_name(name, names);
  }
  std::string pattern;
  std::size_t index = 0;
  if (!split_index(name, pattern, index)) pattern = std::string(name);
  return text + "; the nearest known key is " + nearest_name(pattern, all);
}

}  // namespace deepseek::server
