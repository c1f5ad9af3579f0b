#include "server/setting.hpp"

#include "server/setting_member.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace deepseek::server {
namespace {

constexpr std::array section_table{
    Section{"", "Outside any section."},
    Section{"server", "Where the API listens, and how the process ends."},
    Section{"grpc", "The API over gRPC, on a port of its own."},
    Section{"metrics", "GET /metrics for Prometheus, on a port of its own."},
    Section{"http", "Bounds of connections and requests; a refusal names the setting it hit."},
    Section{"tls", "TLS 1.3. Certificate and key, or neither."},
    Section{"log", "Lines on standard error. They hold no prompts and no keys."},
    Section{"models",
            "The models this server runs, each in an engine process of its own. A file "
            "that has this section replaces the whole list."},
    Section{"aliases",
            "Other names for the models. A file that has this section replaces the "
            "whole map. With `routes` they may stand for any name that a route takes."},
    Section{"engine", "How each model's engine process works."},
    Section{"memory", "Memory that may grow."},
    Section{"backends",
            "Other servers that answer, or that this one starts (managed); `routes` says when. A "
            "file that has this section replaces the whole list."},
    Section{"routes",
            "Which backends answer which requests: the first route whose conditions all hold is "
            "taken. Without any, each model answers for its own name. With them `aliases` is empty "
            "unless written, and the default model is there only if a route names it or the file "
            "has `models`. A file that has this section replaces the whole list."},
    Section{"retry", "When an attempt at a backend failed."},
    Section{"breaker", "When a backend is left alone for a while."},
    Section{"queue", "Requests that wait because every backend of their route is busy."},
    Section{"access", "Who may ask. Without keys everybody may."},
    Section{"cache", "Answers kept for requests that are the same."},
    Section{"responses", "Responses of POST /v1/responses that others can go on from."},
    Section{"ledger", "What each attempt used, by tenant and backend, in a database."},
    Section{"network", "Names that articles and older files use."},
    Section{"limits", "What one request may ask for; more is refused with 400."},
};

using C = Configuration;

template <auto... List>
constexpr ListRow list_row(ListRow row) {
  row.size = list_size<List...>;
  row.resize = list_resize<List...>;
  row.copy = list_copy<List...>;
  return row;
}

constexpr std::array list_table{
    list_row<&C::models>({.name = "models", .members = "name and path", .entries_max = 64}),
    list_row<&C::backends>({.name = "backends",
                            .members = "name and base_url",
                            .entries_max = 64,
                            .reloadable = true}),
    list_row<&C::routes>(
        {.name = "routes", .members = "backends", .entries_max = 256, .reloadable = true}),
    list_row<&C::access, &C::Access::keys>(
        {.name = "access.keys",
         .help =
             "Keys that requests come with, as `Authorization: Bearer KEY`. With any, a request "
             "without one of them is refused with 401.",
         .members = "key and tenant",
         .entries_max = 10'000,
         .reloadable = true}),
};

std::vector<const Setting*> make_table() {
  std::vector<const Setting*> rows;
  const std::array parts{server_settings(), engine_settings(), backend_settings(), route_settings(),
                         gateway_settings()};
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
  if (!setting.alias_of.empty()) return std::string(setting.alias_of);
  std::string name = indexed_name(setting, item.index);
  if (setting.in_map()) name.replace(name.size() - 1, 1, item.key);
  return name;
}

}  // namespace

std::string_view Setting::section() const {
  const auto end = name.find_first_of(".[");
  return end == std::string_view::npos ? std::string_view{} : name.substr(0, end);
}

std::string_view Setting::holder() const {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

std::string_view Setting::leaf() const {
  return last_part(name);
}

std::span<const ListRow> lists() {
  return list_table;
}

const ListRow* find_list(std::string_view name) {
  const auto* const found = std::find_if(list_table.begin(), list_table.end(),
                                         [name](const ListRow& list) { return list.name == name; });
  return found == list_table.end() ? nullptr : found;
}

const ListRow* list_of(const Setting& setting) {
  if (!setting.in_list()) return nullptr;
  return find_list(setting.name.substr(0, setting.name.find("[]")));
}

std::string entry_name(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

std::string indexed_name(const Setting& setting, std::size_t index) {
  std::string name(setting.name);
  const auto brackets = name.find("[]");
  if (brackets != std::string::npos) name.insert(brackets + 1, std::to_string(index));
  return name;
}

bool reloads(const Setting& setting) {
  const ListRow* const list = list_of(setting);
  return list != nullptr ? list->reloadable : setting.reloadable;
}

Configuration one_of_each() {
  Configuration configuration;
  for (const ListRow& list : list_table) {
    list.resize(configuration, 0);
    list.resize(configuration, 1);
  }
  return configuration;
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
  std::string pattern;
  std::size_t index = 0;
  if (!split_index(name, pattern, index)) pattern = std::string(name);
  const auto dot = pattern.rfind('.');
  const auto holder =
      dot == std::string::npos ? std::string_view{} : std::string_view(pattern).substr(0, dot);
  std::vector<std::string_view> all;
  std::vector<std::string_view> beside;
  for (const Setting* setting : settings()) {
    all.push_back(setting->name);
    if (!holder.empty() && setting->holder() == holder) beside.push_back(setting->leaf());
  }
  for (const ListRow& list : list_table) {
    if (last_part(list.name) == list.name) continue;
    all.push_back(list.name);
    if (list.name.starts_with(std::string(holder) + ".")) beside.push_back(last_part(list.name));
  }
  std::string text;
  if (!beside.empty()) {
    text =
        "allowed in " + std::string(holder.substr(0, holder.find("[]"))) + " are " + join(beside);
  } else {
    std::vector<std::string_view> names;
    for (const Section& known : section_table) {
      if (!known.name.empty()) names.push_back(known.name);
    }
    for (const Setting* setting : settings()) {
      if (setting->section().empty()) names.push_back(setting->name);
    }
    text = "allowed here are " + join(names);
    if (holder.empty()) return text + "; the nearest known key is " + nearest_name(name, names);
  }
  return text + "; the nearest known key is " + nearest_name(pattern, all);
}

}  // namespace deepseek::server
