// The text forms of values: reading, writing, and saying what is allowed.
#include "base/units.hpp"
#include "base/utf8.hpp"
#include "server/setting.hpp"

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

template <class Enum>
constexpr std::array<std::string_view, 0> choices{};
template <>
constexpr std::array<std::string_view, 2> choices<base::LogFormat>{"text", "json"};
template <>
constexpr std::array<std::string_view, 4> choices<base::LogLevel>{"debug", "info", "warning",
                                                                  "error"};
template <>
constexpr std::array<std::string_view, 3> choices<FlashAttention>{"auto", "on", "off"};
template <>
constexpr std::array<std::string_view, 3> choices<KvType>{"f16", "q8_0", "q4_0"};
template <>
constexpr std::array<std::string_view, 4> choices<BackendType>{"openai", "deepseek", "azure",
                                                               "managed"};
template <>
constexpr std::array<std::string_view, 4> choices<Continuation>{
    "none", "prefix", "continue_final_message", "assistant_last"};
template <>
constexpr std::array<std::string_view, 9> choices<Strategy>{
    "priority", "weighted_round_robin", "least_in_flight", "power_of_two", "least_work", "cheapest",
    "fastest",  "consistent_hash",      "cache_aware"};
template <>
constexpr std::array<std::string_view, 5> choices<RouteFeature>{"image", "tools", "schema",
                                                                "stream", "thinking"};
template <>
constexpr std::array<std::string_view, 2> choices<CacheStoreKind>{"memory", "sqlite"};

template <class Enum>
std::string_view word(Enum value) {
  return choices<Enum>[static_cast<std::size_t>(value)];
}

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

// One visitor for "what kind is this row": every kind is named here and nowhere else.
template <class Visitor>
auto visit_kind(const Setting& setting, Visitor&& visitor) {
  Configuration scratch;
  return std::visit(std::forward<Visitor>(visitor), setting.field(scratch, Item{0, "alias"}));
}

std::string range_text(const Setting& setting, std::string (*format)(std::uint64_t)) {
  return "from " + format(setting.minimum) + " to " + format(setting.maximum);
}

std::string format_milliseconds(std::uint64_t value) {
  return base::format_duration(milliseconds{static_cast<std::int64_t>(value)});
}

std::string format_number(std::uint64_t value) {
  return std::to_string(value);
}

struct AllowedText {
  const Setting& setting;

  std::string such_as() const { return " such as " + std::string(setting.example); }
  std::string operator()(const bool* /*field*/) const { return "true or false"; }
  std::string operator()(const std::uint32_t* /*field*/) const {
    return "a whole number " + range_text(setting, format_number);
  }
  std::string operator()(const std::uint64_t* /*field*/) const {
    return "a size " + range_text(setting, base::format_bytes) + such_as();
  }
  std::string operator()(const milliseconds* /*field*/) const {
    return "a time with its unit " + range_text(setting, format_milliseconds) + such_as();
  }
  std::string operator()(const MemorySize* /*field*/) const {
    return "a size " + range_text(setting, base::format_bytes) + such_as() +
           ", or a share of the memory such as 25%";
  }
  std::string operator()(const std::string* /*field*/) const {
    return "a text of " + std::to_string(setting.minimum) + " to " +
           std::to_string(setting.maximum) + " bytes" + such_as();
  }
  std::string operator()(const PathField& /*field*/) const {
    return "the name of a file" + such_as();
  }
  std::string operator()(const Secret* /*field*/) const {
    return "a secret as ${NAME} or file:PATH, of at most " + std::to_string(setting.maximum) +
           " bytes";
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string operator()(const Enum* /*field*/) const {
    std::string text = "one of ";
    for (const std::string_view choice : choices<Enum>) {
      if (!text.ends_with("of ")) text += ", ";
      text += choice;
    }
    return text;
  }
};

struct TypeName {
  std::string_view operator()(const bool* /*field*/) const { return "boolean"; }
  std::string_view operator()(const std::uint32_t* /*field*/) const { return "number"; }
  std::string_view operator()(const std::uint64_t* /*field*/) const { return "size"; }
  std::string_view operator()(const milliseconds* /*field*/) const { return "time"; }
  std::string_view operator()(const MemorySize* /*field*/) const { return "size or share"; }
  std::string_view operator()(const std::string* /*field*/) const { return "text"; }
  std::string_view operator()(const PathField& /*field*/) const { return "path"; }
  std::string_view operator()(const Secret* /*field*/) const { return "secret"; }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string_view operator()(const Enum* /*field*/) const {
    return "choice";
  }
};

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
  bool printable() const {
    return base::is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
             return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
           });
  }
  Result<void> operator()(std::string* field) const {
    if (!inside(text.size()) || !printable()) return bad();
    *field = std::string(text);
    return {};
  }
  Result<void> operator()(const PathField& field) const {
    auto expanded = context.expand ? expand(text, context) : Result<std::string>(text);
    if (expanded.has_error()) return expanded.error();
    if (!inside(expanded->size()) || !printable()) return bad();
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
    *field = Secret(std::move(value.value()));
    return {};
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  Result<void> operator()(Enum* field) const {
    const auto found = std::find(choices<Enum>.begin(), choices<Enum>.end(), text);
    if (found == choices<Enum>.end()) return bad();
    *field = static_cast<Enum>(found - choices<Enum>.begin());
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
  std::string operator()(const PathField& field) const { return *field.path; }
  std::string operator()(const Secret* field) const { return field->empty() ? "" : "***"; }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string operator()(const Enum* field) const {
    return std::string(word(*field));
  }
};

}  // namespace

std::string_view to_string(FlashAttention value) {
  return word(value);
}

std::string_view to_string(KvType value) {
  return word(value);
}

std::string_view to_string(BackendType value) {
  return word(value);
}

std::string_view to_string(Continuation value) {
  return word(value);
}

std::string_view to_string(Strategy value) {
  return word(value);
}

std::string_view to_string(RouteFeature value) {
  return word(value);
}

std::string_view to_string(CacheStoreKind value) {
  return word(value);
}

std::string allowed_text(const Setting& setting) {
  return visit_kind(setting, AllowedText{setting});
}

std::string_view type_name(const Setting& setting) {
  return visit_kind(setting, TypeName{});
}

std::string default_text(const Setting& setting) {
  Configuration defaults;
  if (setting.in_list()) defaults.models.assign(1, Configuration::Model{});
  if (setting.in_map()) return "";
  return format_value(setting.field(defaults, Item{}));
}

bool is_secret(const Setting& setting) {
  return type_name(setting) == "secret";
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
