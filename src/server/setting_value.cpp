// The text forms of values: reading and writing.
#include "base/units.hpp"
#include "server/setting.hpp"
#include "server/setting_choices.hpp"
#include "server/setting_form.hpp"
#include "server/setting_list_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <type_traits>

namespace deepseek::server {
namespace {

using base::ErrorCode;
using base::make_error;
using base::Result;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string shown(std::string_view text) {
  constexpr std::size_t shown_max = 60;
  std::string result = "\"";
  for (const char c : text.substr(0, shown_max)) {
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + (text.size() > shown_max ? "…\"" : "\"");
}

// Replaces ${NAME}; "$${" stays as "${".
Result<std::string> expand(std::string_view text, const ValueContext& context) {
  std::string result;
  while (!text.empty()) {
    const auto open = text.find("${");
    if (open == std::string_view::npos) return result.append(text);
    result.append(text.substr(0, open));
    if (open > 0 && text[open - 1] == '$') {
      result += '{';
      text.remove_prefix(open + 2);
      continue;
    }
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) {
      return make_error(ErrorCode::invalid_request, "found ${ without its }");
    }
    const auto name = text.substr(open + 2, close - open - 2);
    const auto value = context.environment ? context.environment(name) : std::nullopt;
    if (!value) {
      return make_error(ErrorCode::invalid_request,
                        "found ${" + std::string(name.substr(0, 60)) +
                            "}, but no such environment variable is set");
    }
    result += *value;
    text.remove_prefix(close + 1);
  }
  return result;
}

std::string beside(const std::string& path, const std::string& directory) {
  if (path.empty() || directory.empty() || path.front() == '/') return path;
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

template <class Enum>
std::optional<Enum> choice(std::string_view text) {
  const auto found = std::find(choices<Enum>.begin(), choices<Enum>.end(), text);
  if (found == choices<Enum>.end()) return std::nullopt;
  return static_cast<Enum>(found - choices<Enum>.begin());
}

// Shortest text that reads back as the same number, without an exponent.
std::string decimal_text(double value) {
  std::array<char, 512> text{};
  const auto written =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return {text.data(), written.ptr};
}

// Of what lists and maps hold.
constexpr std::size_t item_bytes_max = 4'096;
constexpr std::size_t name_bytes_max = 256;
constexpr std::size_t numbers_max = 256;

struct Assign {
  const Setting& setting;
  std::string_view text;
  const ValueContext& context;

  Result<void> bad() const {
    return make_error(ErrorCode::invalid_request,
                      "found " + shown(text) + "; allowed is " + allowed_text(setting));
  }
  bool inside(std::uint64_t value) const {
    return value >= setting.minimum && value <= setting.maximum;
  }

  Result<void> operator()(bool* field) const {
    const std::string word = lower(text);
    if (word == "true" || word == "yes" || word == "on" || word == "1") {
      *field = true;
    } else if (word == "false" || word == "no" || word == "off" || word == "0") {
      *field = false;
    } else {
      return bad();
    }
    return {};
  }
  Result<void> operator()(std::uint32_t* field) const {
    std::uint32_t value = 0;
    const auto* const last = text.data() + text.size();
    const auto [end, code] = std::from_chars(text.data(), last, value);
    if (text.empty() || code != std::errc{} || end != last || !inside(value)) return bad();
    *field = value;
    return {};
  }
  Result<void> operator()(std::uint64_t* field) const {
    const auto value = base::parse_bytes(text);
    if (value.has_error() || !inside(value.value())) return bad();
    *field = value.value();
    return {};
  }
  Result<void> operator()(milliseconds* field) const {
    const auto value = base::parse_duration(text);
    if (value.has_error() || !inside(static_cast<std::uint64_t>(value.value().count()))) {
      return bad();
    }
    *field = value.value();
    return {};
  }
  Result<void> operator()(MemorySize* field) const {
    if (text.ends_with('%')) {
      const auto share = base::parse_percentage(text);
      if (share.has_error() || share.value() <= 0) return bad();
      *field = MemorySize{0, share.value()};
      return {};
    }
    const auto bytes = base::parse_bytes(text);
    if (bytes.has_error() || !inside(bytes.value())) return bad();
    *field = MemorySize{bytes.value(), 0};
    return {};
  }
  Result<void> operator()(double* field) const {
    double value = 0;
    const auto* const last = text.data() + text.size();
    const auto [end, code] = std::from_chars(text.data(), last, value, std::chars_format::fixed);
    const bool digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
    if (text.empty() || code != std::errc{} || end != last || !digits) return bad();
    if (value < static_cast<double>(setting.minimum)) return bad();
    if (value > static_cast<double>(setting.maximum)) return bad();
    *field = value;
    return {};
  }
  bool fits(std::string_view value) const {
    if (!form::is_printable(value)) return false;
    return value.empty() || setting.accepts == nullptr || setting.accepts(value);
  }
  Result<std::string> expanded(std::string_view value) const {
    if (!setting.expand || !context.expand) return std::string(value);
    return expand(value, context);
  }
  Result<void> operator()(std::string* field) const {
    auto value = expanded(text);
    if (value.has_error()) return value.error();
    if (!inside(value->size()) || !fits(*value)) return bad();
    *field = std::move(*value);
    return {};
  }
  Result<void> operator()(std::vector<std::string>* field) const {
    auto items = split_list(text);
    if (!items || !inside(items->size())) return bad();
    for (std::string& item : *items) {
      auto value = expanded(item);
      if (value.has_error()) return value.error();
      item = std::move(*value);
      if (!is_item(item) || !fits(item)) return bad();
    }
    *field = std::move(*items);
    return {};
  }
  Result<void> operator()(std::vector<RouteFeature>* field) const {
    const auto items = split_list(text);
    if (!items || !inside(items->size())) return bad();
    std::vector<RouteFeature> values;
    for (const std::string& item : *items) {
      const auto value = choice<RouteFeature>(item);
      if (!value || std::find(values.begin(), values.end(), *value) != values.end()) return bad();
      values.push_back(*value);
    }
    *field = std::move(values);
    return {};
  }
  static bool is_item(const std::string& value) {
    return !value.empty() && value.size() <= item_bytes_max && form::is_printable(value);
  }
  bool is_name(const std::string& name) const {
    return !name.empty() && name.size() <= name_bytes_max && fits(name);
  }
  Result<void> operator()(std::map<std::string, std::string>* field) const {
    auto members = split_map(text);
    if (!members || !inside(members->size())) return bad();
    for (const auto& [name, value] : *members) {
      if (!is_name(name) || !is_item(value)) return bad();
    }
    *field = std::move(*members);
    return {};
  }
  Result<void> operator()(std::map<std::string, std::uint32_t>* field) const {
    const auto members = split_map(text);
    if (!members || members->size() > numbers_max) return bad();
    std::map<std::string, std::uint32_t> values;
    for (const auto& [name, value] : *members) {
      const Assign number{setting, value, context};
      if (!is_name(name) || number(&values[name]).has_error()) return bad();
    }
    *field = std::move(values);
    return {};
  }
  Result<void> operator()(const PathField& field) const {
    auto expanded = context.expand ? expand(text, context) : Result<std::string>(text);
    if (expanded.has_error()) return expanded.error();
    if (!inside(expanded->size()) || !fits(*expanded)) return bad();
    if (field.directory != nullptr) {
      *field.path = std::move(expanded.value());
      *field.directory = context.directory;
    } else {
      *field.path = beside(expanded.value(), context.directory);
    }
    return {};
  }
  Result<void> operator()(Secret* field) const {
    auto value = context.expand ? expand(text, context) : Result<std::string>(text);
    if (value.has_error()) return value.error();
    if (value->starts_with("file:") && context.read_file) {
      const std::string path = beside(value->substr(5), context.directory);
      value = context.read_file(path);
      if (value.has_error()) return value.error();
      while (value->ends_with('\n') || value->ends_with('\r')) value->pop_back();
    }
    if (!inside(value->size())) {
      return make_error(ErrorCode::invalid_request,
                        "found a secret of " + std::to_string(value->size()) +
                            " bytes; allowed is " + allowed_text(setting));
    }
    if (!value->empty() && setting.accepts != nullptr && !setting.accepts(*value)) {
      return make_error(ErrorCode::invalid_request,
                        "found a secret of another form; allowed is " + allowed_text(setting));
    }
    *field = Secret(std::move(value.value()));
    return {};
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  Result<void> operator()(Enum* field) const {
    const auto value = choice<Enum>(text);
    if (!value) return bad();
    *field = *value;
    return {};
  }
};

struct Format {
  std::string operator()(const bool* field) const { return *field ? "true" : "false"; }
  std::string operator()(const std::uint32_t* field) const { return std::to_string(*field); }
  std::string operator()(const std::uint64_t* field) const { return base::format_bytes(*field); }
  std::string operator()(const milliseconds* field) const { return base::format_duration(*field); }
  std::string operator()(const MemorySize* field) const {
    return field->fraction > 0 ? base::format_percentage(field->fraction)
                               : base::format_bytes(field->bytes);
  }
  std::string operator()(const std::string* field) const { return *field; }
  std::string operator()(const double* field) const { return decimal_text(*field); }
  std::string operator()(const std::vector<std::string>* field) const { return join_list(*field); }
  std::string operator()(const std::vector<RouteFeature>* field) const {
    std::vector<std::string> words;
    for (const RouteFeature feature : *field) words.emplace_back(choice_word(feature));
    return join_list(words);
  }
  std::string operator()(const std::map<std::string, std::string>* field) const {
    return join_map(*field);
  }
  std::string operator()(const std::map<std::string, std::uint32_t>* field) const {
    std::map<std::string, std::string> texts;
    for (const auto& [name, number] : *field) texts.emplace(name, std::to_string(number));
    return join_map(texts);
  }
  std::string operator()(const PathField& field) const { return *field.path; }
  std::string operator()(const Secret* field) const { return field->empty() ? "" : "***"; }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string operator()(const Enum* field) const {
    return std::string(choice_word(*field));
  }
};

}  // namespace

std::string_view to_string(FlashAttention value) {
  return choice_word(value);
}

std::string_view to_string(Layout value) {
  return choice_word(value);
}

std::string_view to_string(KvType value) {
  return choice_word(value);
}

std::string_view to_string(PrefixSharing value) {
  return choice_word(value);
}

std::string_view to_string(BackendType value) {
  return choice_word(value);
}

std::string_view to_string(ManagedEngine value) {
  return choice_word(value);
}

std::string_view to_string(Continuation value) {
  return choice_word(value);
}

std::string_view to_string(RouteFeature value) {
  return choice_word(value);
}

std::string_view to_string(CacheStoreKind value) {
  return choice_word(value);
}

Result<void> assign(const Setting& setting, const Field& field, std::string_view text,
                    const ValueContext& context) {
  return std::visit(Assign{setting, text, context}, field);
}

std::string format_value(const Field& field) {
  return std::visit(Format{}, field);
}

bool same_value(const Field& left, const Field& right) {
  return std::visit(
      [&right](const auto& field) {
        using Type = std::decay_t<decltype(field)>;
        const auto& other = std::get<Type>(right);
        if constexpr (std::is_same_v<Type, PathField>) {
          return *field.path == *other.path &&
                 (field.directory == nullptr || *field.directory == *other.directory);
        } else {
          return *field == *other;
        }
      },
      left);
}

void copy_value(const Field& from, const Field& to) {
  std::visit(
      [&to](const auto& field) {
        using Type = std::decay_t<decltype(field)>;
        const auto& target = std::get<Type>(to);
        if constexpr (std::is_same_v<Type, PathField>) {
          *target.path = *field.path;
          if (field.directory != nullptr) *target.directory = *field.directory;
        } else {
          *target = *field;
        }
      },
      from);
}

}  // namespace deepseek::server
