// Typed access to the fields of one JSON object, with the path of each for `param`.
//
// Pure; lives for one decode. The first failure is kept and all later reads return nothing, so a
// decoder reads its fields one after the other and asks once. Null is the same as absent; 5.0 is
// an integer. Messages say what was found, what is allowed, and which setting is the limit.
#pragma once

#include "base/result.hpp"

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

struct NumberRange {
  double min;
  double max;
  bool min_excluded = false;
};

// A bound and the setting it comes from; an empty name means that the form itself sets it.
struct Bound {
  std::int64_t max;
  std::string_view setting = {};
};

class JsonReader {
 public:
  using Failure = std::optional<base::Error>;

  // `object`, `failure` outlive the reader. `path` is empty for the body itself.
  JsonReader(const boost::json::object& object, Failure& failure, std::string path = {})
      : object_(object), failure_(failure), path_(std::move(path)) {
    for (const auto& field : object_) names_ |= name_bit({field.key().data(), field.key().size()});
  }

  // The field unless it is absent, null, or something failed before.
  const boost::json::value* find(std::string_view name);

  std::optional<double> optional_number(std::string_view name, NumberRange range);
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t min, Bound max);
  std::optional<bool> optional_boolean(std::string_view name);
  std::optional<std::string> optional_string(std::string_view name, Bound bytes);
  std::string required_string(std::string_view name, Bound bytes);
  // Not empty pointers only: a list of at least one entry.
  const boost::json::array* optional_list(std::string_view name, Bound entries);
  std::optional<JsonReader> optional_object(std::string_view name);

  // For values inside lists, whose path the caller has made with entry_path().
  std::optional<std::int64_t> integer(const boost::json::value& value, const std::string& path,
                                      std::int64_t min, Bound max);
  std::optional<std::string> string(const boost::json::value& value, const std::string& path,
                                    Bound bytes);
  std::optional<double> number(const boost::json::value& value, const std::string& path,
                               NumberRange range);
  std::optional<JsonReader> object(const boost::json::value& value, std::string path);
  bool check_entries(const boost::json::array& list, const std::string& path, Bound entries);

  void refuse(std::string path, std::string message,
              base::ErrorCode code = base::ErrorCode::invalid_request);
  // "PATH must be ALLOWED, found FOUND"
  void refuse_value(std::string path, std::string_view allowed, const boost::json::value& found);
  bool failed() const { return failure_.has_value(); }
  const base::Error& error() const { return *failure_; }

  std::string path_of(std::string_view name) const;
  const std::string& path() const { return path_; }
  // Names of fields that nobody asked for, in the order of the body; views into the object.
  std::vector<std::string_view> unread() const;

 private:
  // Decoders ask for many names that are not there: most are known to be absent by this bit.
  static std::uint64_t name_bit(std::string_view name) {
    if (name.empty()) return 1;
    const auto sum = name.size() * 7 + static_cast<unsigned char>(name.front()) * 3U +
                     static_cast<unsigned char>(name.back());
    return std::uint64_t{1} << (sum % 64);
  }
  void mark_read(std::size_t index);

  const boost::json::object& object_;
  Failure& failure_;
  std::string path_;
  std::uint64_t names_ = 0;       // name_bit() of every field
  std::uint64_t read_ = 0;        // of the first 64 fields, those that somebody asked for
  std::vector<bool> read_later_;  // of the others
};

// "messages" and 2 make "messages[2]".
std::string entry_path(std::string_view list, std::size_t index);
// What a value is, for a message: "a list of 3", "the string \"abc\"", "2.5".
std::string describe_value(const boost::json::value& value);

}  // namespace deepseek::protocol
