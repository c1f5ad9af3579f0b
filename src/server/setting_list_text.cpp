#include "server/setting_list_text.hpp"

namespace deepseek::server {
namespace {

constexpr std::string_view blank = " \t";

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) { skip_blank(); }

  bool done() const { return rest_.empty(); }

  // The next item up to one of `ends`, which stays. Nothing for an empty one without quotes.
  std::optional<std::string> item(std::string_view ends) {
    if (rest_.starts_with('"')) return quoted(ends);
    const std::string_view found = rest_.substr(0, rest_.find_first_of(ends));
    rest_.remove_prefix(found.size());
    const auto last = found.find_last_not_of(blank);
    if (last == std::string_view::npos) return std::nullopt;
    return std::string(found.substr(0, last + 1));
  }

  bool take(char wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(1);
    skip_blank();
    return true;
  }

 private:
  void skip_blank() {
    const auto first = rest_.find_first_not_of(blank);
    rest_ = first == std::string_view::npos ? std::string_view{} : rest_.substr(first);
  }

  std::optional<std::string> quoted(std::string_view ends) {
    std::string text;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        skip_blank();
        if (!rest_.empty() && ends.find(rest_.front()) == std::string_view::npos) break;
        return text;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      text += rest_[i];
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

std::string written(const std::string& item) {
  const bool plain = !item.empty() && item.find_first_of(",=\"\\") == std::string::npos &&
                     blank.find(item.front()) == std::string_view::npos &&
                     blank.find(item.back()) == std::string_view::npos;
  if (plain) return item;
  std::string text = "\"";
  for (const char c : item) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

}  // namespace

std::optional<std::vector<std::string>> split_list(std::string_view text) {
  std::vector<std::string> items;
  Reader reader(text);
  if (reader.done()) return items;
  do {
    auto item = reader.item(",");
    if (!item) return std::nullopt;
    items.push_back(std::move(*item));
  } while (reader.take(','));
  return items;
}

std::optional<std::map<std::string, std::string>> split_map(std::string_view text) {
  std::map<std::string, std::string> members;
  Reader reader(text);
  if (reader.done()) return members;
  do {
    auto name = reader.item("=,");
    if (!name || !reader.take('=')) return std::nullopt;
    auto value = reader.item(",");
    if (!value || !members.emplace(std::move(*name), std::move(*value)).second) return std::nullopt;
  } while (reader.take(','));
  return members;
}

std::string join_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + written(item);
  return text;
}

std::string join_map(const std::map<std::string, std::string>& members) {
  std::string text;
  for (const auto& [name, value] : members) {
    text += (text.empty() ? "" : ", ") + written(name) + "=" + written(value);
  }
  return text;
}

}  // namespace deepseek::server
