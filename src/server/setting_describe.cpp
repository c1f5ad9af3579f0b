// What a row is, in words: its type, what is allowed, its default.
#include "base/units.hpp"
#include "server/setting.hpp"
#include "server/setting_choices.hpp"

#include <type_traits>
#include <utility>

namespace deepseek::server {
namespace {

// One visitor for "what kind is this row": every kind is named here and in setting_value.cpp.
template <class Visitor>
auto visit_kind(const Setting& setting, Visitor&& visitor) {
  Configuration scratch = one_of_each();
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
  std::string count() const {
    return std::to_string(setting.minimum) + " to " + std::to_string(setting.maximum);
  }
  std::string each() const {
    return setting.form.empty() ? "" : ", each " + std::string(setting.form) + ",";
  }
  template <class Enum>
  static std::string words() {
    std::string text;
    for (const std::string_view choice : choices<Enum>) {
      text += (text.empty() ? "" : ", ") + std::string(choice);
    }
    return text;
  }
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
  std::string operator()(const double* /*field*/) const {
    return "a number " + range_text(setting, format_number) + such_as();
  }
  std::string operator()(const std::string* /*field*/) const {
    return std::string(setting.form.empty() ? "a text" : setting.form) + " of " + count() +
           " bytes" + such_as();
  }
  std::string operator()(const std::vector<std::string>* /*field*/) const {
    return "a list of " + count() + " texts" + each() + such_as();
  }
  std::string operator()(const std::map<std::string, std::string>* /*field*/) const {
    return "a map of " + count() + " texts" + each() + such_as();
  }
  std::string operator()(const std::map<std::string, std::uint32_t>* /*field*/) const {
    return "a map of whole numbers " + range_text(setting, format_number) + each() + such_as();
  }
  std::string operator()(const std::vector<RouteFeature>* /*field*/) const {
    return "a list of any of " + words<RouteFeature>();
  }
  std::string operator()(const PathField& /*field*/) const {
    return "the name of a file" + such_as();
  }
  std::string operator()(const Secret* /*field*/) const {
    const std::string form = setting.form.empty() ? "" : std::string(setting.form) + " ";
    return "a secret " + form + "as ${NAME} or file:PATH, of " +
           (setting.minimum > 0 ? count() : "at most " + std::to_string(setting.maximum)) +
           " bytes";
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string operator()(const Enum* /*field*/) const {
    return "one of " + words<Enum>();
  }
};

struct TypeName {
  std::string_view operator()(const bool* /*field*/) const { return "boolean"; }
  std::string_view operator()(const std::uint32_t* /*field*/) const { return "number"; }
  std::string_view operator()(const std::uint64_t* /*field*/) const { return "size"; }
  std::string_view operator()(const milliseconds* /*field*/) const { return "time"; }
  std::string_view operator()(const MemorySize* /*field*/) const { return "size or share"; }
  std::string_view operator()(const std::string* /*field*/) const { return "text"; }
  std::string_view operator()(const double* /*field*/) const { return "decimal"; }
  std::string_view operator()(const std::vector<std::string>* /*field*/) const { return "list"; }
  std::string_view operator()(const std::vector<RouteFeature>* /*field*/) const { return "list"; }
  std::string_view operator()(const std::map<std::string, std::string>* /*field*/) const {
    return "map";
  }
  std::string_view operator()(const std::map<std::string, std::uint32_t>* /*field*/) const {
    return "map";
  }
  std::string_view operator()(const PathField& /*field*/) const { return "path"; }
  std::string_view operator()(const Secret* /*field*/) const { return "secret"; }
  template <class Enum>
    requires std::is_enum_v<Enum>
  std::string_view operator()(const Enum* /*field*/) const {
    return "choice";
  }
};

}  // namespace

std::string allowed_text(const Setting& setting) {
  return visit_kind(setting, AllowedText{setting});
}

std::string_view type_name(const Setting& setting) {
  return visit_kind(setting, TypeName{});
}

std::string default_text(const Setting& setting) {
  if (setting.in_map()) return "";
  Configuration defaults = setting.in_list() ? one_of_each() : Configuration{};
  return format_value(setting.field(defaults, Item{}));
}

ValueForm value_form(const Setting& setting) {
  const std::string_view type = type_name(setting);
  if (type == "list") return ValueForm::list;
  return type == "map" ? ValueForm::map : ValueForm::text;
}

bool is_secret(const Setting& setting) {
  return type_name(setting) == "secret";
}

}  // namespace deepseek::server
