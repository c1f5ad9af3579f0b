#include "protocol/json_reader.hpp"

#include "protocol/json.hpp"
#include "protocol/quote.hpp"

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

std::string with_setting(Bound bound) {
  return bound.setting.empty() ? std::string() : " (" + std::string(bound.setting) + ")";
}

std::string number_text(double value) {
  std::string out;
  append_json_number(out, value);
  return out;
}

// The integer that a number is, if it is one that fits.
std::optional<std::int64_t> as_integer(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (!value.is_double()) return std::nullopt;
  const double number = value.get_double();
  constexpr double exact = 9007199254740992.0;  // 2^53: beyond it a double is no exact integer
  if (!(std::abs(number) <= exact) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

}  // namespace

std::string entry_path(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

std::string describe_value(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::int64:
      return std::to_string(value.get_int64());
    case json::kind::uint64:
      return std::to_string(value.get_uint64());
    case json::kind::double_:
      return number_text(value.get_double());
    case json::kind::string: {
      const auto& text = value.get_string();
      return "the string " + quote_value({text.data(), text.size()});
    }
    case json::kind::array:
      return "a list of " + std::to_string(value.get_array().size());
    case json::kind::object:
      break;
  }
  return "an object";
}

std::string JsonReader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

void JsonReader::refuse(std::string path, std::string message, base::ErrorCode code) {
  if (!failure_) failure_ = base::make_error(code, std::move(message), std::move(path));
}

void JsonReader::refuse_value(std::string path, std::string_view allowed,
                              const json::value& found) {
  std::string message =
      path + " must be " + std::string(allowed) + ", found " + describe_value(found);
  refuse(std::move(path), std::move(message));
}

const json::value* JsonReader::find(std::string_view name) {
  if ((names_ & name_bit(name)) == 0) return nullptr;
  const auto found = object_.find({name.data(), name.size()});
  if (found == object_.end()) return nullptr;
  mark_read(static_cast<std::size_t>(found - object_.begin()));
  return failure_ || found->value().is_null() ? nullptr : &found->value();
}

void JsonReader::mark_read(std::size_t index) {
  if (index < 64) {
    read_ |= std::uint64_t{1} << index;
    return;
  }
  read_later_.resize(object_.size() - 64);
  read_later_[index - 64] = true;
}

std::optional<double> JsonReader::number(const json::value& value, const std::string& path,
                                         NumberRange range) {
  std::optional<double> number;
  if (value.is_double()) number = value.get_double();
  if (value.is_int64()) number = static_cast<double>(value.get_int64());
  if (value.is_uint64()) number = static_cast<double>(value.get_uint64());
  const bool low_ok = number && (range.min_excluded ? *number > range.min : *number >= range.min);
  if (low_ok && *number <= range.max) return number;
  refuse_value(path,
               std::string("a number ") + (range.min_excluded ? "above " : "from ") +
                   number_text(range.min) + (range.min_excluded ? " up to " : " to ") +
                   number_text(range.max),
               value);
  return std::nullopt;
}

std::optional<std::int64_t> JsonReader::integer(const json::value& value, const std::string& path,
                                                std::int64_t min, Bound max) {
  const auto number = as_integer(value);
  if (number && *number >= min && *number <= max.max) return number;
  refuse_value(path,
               "an integer from " + std::to_string(min) + " to " + std::to_string(max.max) +
                   with_setting(max),
               value);
  return std::nullopt;
}

std::optional<std::string> JsonReader::string(const json::value& value, const std::string& path,
                                              Bound bytes) {
  if (!value.is_string()) {
    refuse_value(path, "a string", value);
    return std::nullopt;
  }
  const auto& text = value.get_string();
  if (static_cast<std::int64_t>(text.size()) > bytes.max) {
    refuse(path, path + " has " + std::to_string(text.size()) + " bytes; at most " +
                     std::to_string(bytes.max) + with_setting(bytes) + " are allowed");
    return std::nullopt;
  }
  return std::string(text.data(), text.size());
}

std::optional<JsonReader> JsonReader::object(const json::value& value, std::string path) {
  if (!value.is_object()) {
    refuse_value(std::move(path), "an object", value);
    return std::nullopt;
  }
  return JsonReader(value.get_object(), failure_, std::move(path));
}

bool JsonReader::check_entries(const json::array& list, const std::string& path, Bound entries) {
  if (list.empty()) {
    refuse(path, path + " must have at least one entry, found an empty list");
    return false;
  }
  if (static_cast<std::int64_t>(list.size()) <= entries.max) return true;
  refuse(path, path + " has " + std::to_string(list.size()) + " entries; at most " +
                   std::to_string(entries.max) + with_setting(entries) + " are allowed");
  return false;
}

std::optional<double> JsonReader::optional_number(std::string_view name, NumberRange range) {
  const json::value* value = find(name);
  return value == nullptr ? std::nullopt : number(*value, path_of(name), range);
}

std::optional<std::int64_t> JsonReader::optional_integer(std::string_view name, std::int64_t min,
                                                         Bound max) {
  const json::value* value = find(name);
  return value == nullptr ? std::nullopt : integer(*value, path_of(name), min, max);
}

std::optional<bool> JsonReader::optional_boolean(std::string_view name) {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->get_bool();
  refuse_value(path_of(name), "true or false", *value);
  return std::nullopt;
}

std::optional<std::string> JsonReader::optional_string(std::string_view name, Bound bytes) {
  const json::value* value = find(name);
  return value == nullptr ? std::nullopt : string(*value, path_of(name), bytes);
}

std::string JsonReader::required_string(std::string_view name, Bound bytes) {
  const json::value* value = find(name);
  if (value == nullptr) {
    refuse(path_of(name), path_of(name) + " is missing; it must be a string");
    return {};
  }
  return string(*value, path_of(name), bytes).value_or("");
}

const json::array* JsonReader::optional_list(std::string_view name, Bound entries) {
  const json::value* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) {
    refuse_value(path_of(name), "a list", *value);
    return nullptr;
  }
  const json::array& list = value->get_array();
  return check_entries(list, path_of(name), entries) ? &list : nullptr;
}

std::optional<JsonReader> JsonReader::optional_object(std::string_view name) {
  const json::value* value = find(name);
  return value == nullptr ? std::nullopt : object(*value, path_of(name));
}

std::vector<std::string_view> JsonReader::unread() const {
  std::vector<std::string_view> names;
  std::size_t index = 0;
  for (const auto& field : object_) {
    const std::size_t at = index++;
    const bool read =
        at < 64 ? (read_ >> at & 1U) != 0 : at - 64 < read_later_.size() && read_later_[at - 64];
    if (!read) names.emplace_back(field.key().data(), field.key().size());
  }
  return names;
}

}  // namespace deepseek::protocol
