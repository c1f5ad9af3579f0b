#include "grammar/schema.hpp"

#include "grammar/json_value.hpp"
#include "grammar/limits.hpp"
#include "grammar/repetitions.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace deepseek::grammar {
namespace {

using Names = std::initializer_list<std::string_view>;

bool among(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// They say nothing about which values are valid.
bool is_annotation(std::string_view name) {
  return name.starts_with("x-") || among(name, {"title", "description", "default", "examples",
                                                "deprecated", "readOnly", "writeOnly", "$comment"});
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char byte : text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') out += '\\';
    if (value >= 0x20) {
      out += byte;
    } else {
      out += std::string("\\u00") + kHex[value >> 4U] + kHex[value & 15U];
    }
  }
  return out + '"';
}

constexpr std::int64_t kIntegerMax = 999'999'999'999'999;

class Checker {
 public:
  Checker(const Json& root, std::string param) : root_(root), param_(std::move(param)) {}

  base::Result<std::string> check() {
    std::string text = value(root_, "");
    // What is referred to may refer to more.
    std::string definitions;
    for (std::size_t at = 0; at < referred_.size() && !error_; ++at) {
      const auto [uri, schema] = referred_[at];
      if (uri == "#") continue;
      if (!definitions.empty()) definitions += ',';
      definitions += quoted("d" + std::to_string(at)) + ':' + value(*schema, uri.substr(1));
    }
    if (!error_) check_endless();
    if (error_) return *error_;
    if (referred_.empty()) return text;
    // A reference to the root is one to this wrapper's alternative.
    return R"({"anyOf":[)" + text + R"(],"$defs":{)" + definitions + "}}";
  }

 private:
  std::string refuse(const std::string& path, const std::string& why) {
    if (!error_) {
      error_ = base::make_error(base::ErrorCode::invalid_request, param_ + path + ": " + why,
                                param_ + path);
    }
    return "{}";
  }
  void count(std::size_t& counter, std::size_t add, std::size_t most, const std::string& path,
             const char* what) {
    counter += add;
    if (counter > most) {
      refuse(path, std::string("the schema has more than ") + std::to_string(most) + what);
    }
  }

  // Refuses every keyword that is neither one of `known` nor an annotation.
  void allow_only(const Json& schema, const std::string& path, Names known) {
    count(keywords_, schema.members.size(), kKeywordsMax, path, " keywords");
    for (const auto& [name, unused] : schema.members) {
      if (is_annotation(name) || among(name, known)) continue;
      if (path.empty() && among(name, {"$schema", "$defs", "definitions"})) continue;
      refuse(path + '/' + name,
             among(name, {"properties", "required", "items", "minimum", "maximum", "type"})
                 ? "this keyword cannot be enforced beside what else stands here"
                 : "this keyword is not enforced; leave it out");
    }
  }

  std::string value(const Json& schema, const std::string& path) {
    if (error_) return "{}";
    if (schema.is(Json::Kind::boolean) && schema.truth) return "{}";
    if (!schema.is(Json::Kind::object)) return refuse(path, "no value can be valid against this");
    if (path.empty()) check_dialect(schema);
    if (const Json* uri = schema.find("$ref")) return reference(schema, *uri, path);
    if (schema.find("enum") != nullptr || schema.find("const") != nullptr) {
      return literals(schema, path);
    }
    if (const Json* options = schema.find("anyOf")) return alternatives(schema, *options, path);
    const Json* type = schema.find("type");
    if (type == nullptr) {
      allow_only(schema, path, {});
      return "{}";
    }
    if (type->is(Json::Kind::string)) return typed(schema, type->text, path, true);
    if (!type->is(Json::Kind::array) || type->items.empty()) {
      return refuse(path + "/type", "it must be a type or a list of types");
    }
    std::string text;
    for (const Json& entry : type->items) {
      if (!text.empty()) text += ',';
      text += typed(schema, entry.is(Json::Kind::string) ? entry.text : "", path, false);
    }
    return R"({"anyOf":[)" + text + "]}";
  }

  void check_dialect(const Json& schema) {
    const Json* dialect = schema.find("$schema");
    if (dialect == nullptr) return;
    if (dialect->text.find("json-schema.org/draft/2020-12/schema") == std::string::npos &&
        dialect->text.find("json-schema.org/draft/2019-09/schema") == std::string::npos &&
        dialect->text.find("json-schema.org/draft-07/schema") == std::string::npos) {
      refuse("/$schema", "schemas of this kind are not known; draft 2020-12 is");
    }
  }

  std::string reference(const Json& schema, const Json& uri, const std::string& path) {
    allow_only(schema, path, {"$ref"});
    const std::string where = path + "/$ref";
    const Json* found = nullptr;
    if (uri.text == "#") {
      found = &root_;
    } else {
      for (const std::string_view place : {"#/$defs/", "#/definitions/"}) {
        if (!uri.text.starts_with(place)) continue;
        const std::string name = uri.text.substr(place.size());
        if (name.find_first_of("/~%") != std::string::npos) continue;
        const Json* all = root_.find(place.substr(2, place.size() - 3));
        if (all != nullptr) found = all->find(name);
      }
    }
    if (found == nullptr) {
      return refuse(where, "only \"#\" and names in $defs of the same schema can be referred to");
    }
    const auto known = std::find_if(referred_.begin(), referred_.end(),
                                    [&](const auto& entry) { return entry.first == uri.text; });
    const auto number = static_cast<std::size_t>(known - referred_.begin());
    if (known == referred_.end()) referred_.emplace_back(uri.text, found);
    if (uri.text == "#") return R"({"$ref":"#"})";
    return R"({"$ref":"#/$defs/d)" + std::to_string(number) + "\"}";
  }

  std::string literals(const Json& schema, const std::string& path) {
    const Json* only = schema.find("const");
    if (only != nullptr) {
      allow_only(schema, path, {"const", "type"});
    } else {
      allow_only(schema, path, {"enum", "type"});
    }
    const Json* list = schema.find("enum");
    if (only == nullptr && (!list->is(Json::Kind::array) || list->items.empty())) {
      return refuse(path + "/enum", "it must be a list of values");
    }
    const std::vector<Json> values = only != nullptr ? std::vector<Json>{*only} : list->items;
    const std::string where = path + (only != nullptr ? "/const" : "/enum");
    count(enum_values_, values.size(), kEnumValuesMax, where, " values in enum");
    std::string text;
    for (const Json& entry : values) {
      if (!fits_type(entry, schema.find("type"))) continue;
      const std::string written = literal(entry, where);
      count(enum_bytes_, written.size(), kEnumBytesMax, where, " bytes in enum");
      if (!text.empty()) text += ',';
      text += written;
    }
    if (text.empty()) return refuse(where, "no value here is of the type");
    return R"({"enum":[)" + text + "]}";
  }

  std::string literal(const Json& entry, const std::string& where) {
    switch (entry.kind) {
      case Json::Kind::null:
        return "null";
      case Json::Kind::boolean:
        return entry.truth ? "true" : "false";
      case Json::Kind::string:
        return quoted(entry.text);
      case Json::Kind::number:
        if (!small_integer(entry)) break;
        return entry.text;
      default:
        break;
    }
    return refuse(where, "only texts, integers, true, false and null are enforced here");
  }

  static std::optional<std::int64_t> small_integer(const Json& entry) {
    constexpr std::size_t kDigits = 15;
    std::int64_t number = 0;
    const std::string& text = entry.text;
    if (!entry.is(Json::Kind::number) || text.size() > kDigits || text == "-0") return {};
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return {};
    return number;
  }

  static bool fits_type(const Json& entry, const Json* type) {
    if (type == nullptr) return true;
    const auto fits = [&](const std::string& name) {
      switch (entry.kind) {
        case Json::Kind::null:
          return name == "null";
        case Json::Kind::boolean:
          return name == "boolean";
        case Json::Kind::string:
          return name == "string";
        case Json::Kind::number:
          return name == "number" || (name == "integer" && small_integer(entry));
        default:
          return name == "array" || name == "object";  // refused later, as literals
      }
    };
    if (type->is(Json::Kind::string)) return fits(type->text);
    return std::any_of(type->items.begin(), type->items.end(),
                       [&](const Json& name) { return fits(name.text); });
  }

  std::string alternatives(const Json& schema, const Json& options, const std::string& path) {
    allow_only(schema, path, {"anyOf"});
    if (!options.is(Json::Kind::array) || options.items.empty()) {
      return refuse(path + "/anyOf", "it must be a list of schemas");
    }
    if (options.items.size() > kAlternativesMax) {
      return refuse(path + "/anyOf",
                    "it has more than " + std::to_string(kAlternativesMax) + " alternatives");
    }
    std::string text;
    for (std::size_t at = 0; at < options.items.size(); ++at) {
      if (at > 0) text += ',';
      text += value(options.items[at], path + "/anyOf/" + std::to_string(at));
    }
    return R"({"anyOf":[)" + text + "]}";
  }

  // `alone`: the keywords of other types may not stand beside it, where they would mean nothing.
  std::string typed(const Json& schema, const std::string& type, const std::string& path,
                    bool alone) {
    const Names all = {"type",
                       "properties",
                       "required",
                       "additionalProperties",
                       "items",
                       "minItems",
                       "maxItems",
                       "minLength",
                       "maxLength",
                       "pattern",
                       "minimum",
                       "maximum",
                       "exclusiveMinimum",
                       "exclusiveMaximum"};
    if (type == "object") {
      if (alone) {
        allow_only(schema, path, {"type", "properties", "required", "additionalProperties"});
      } else {
        allow_only(schema, path, all);
      }
      return object(schema, path);
    }
    if (type == "array") {
      if (alone) {
        allow_only(schema, path, {"type", "items", "minItems", "maxItems"});
      } else {
        allow_only(schema, path, all);
      }
      return array(schema, path);
    }
    if (!among(type, {"string", "integer", "number", "boolean", "null"})) {
      return refuse(path + "/type", "it must be a type of JSON");
    }
    const bool is_string = type == "string";
    const bool is_integer = type == "integer";
    if (!alone) {
      allow_only(schema, path, all);
    } else if (is_string) {
      allow_only(schema, path, {"type", "minLength", "maxLength", "pattern"});
    } else if (is_integer) {
      allow_only(schema, path,
                 {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"});
    } else {
      allow_only(schema, path, {"type"});
    }
    if (type == "number") refuse_bounds(schema, path);
    std::string text = "{\"type\":" + quoted(type);
    if (is_string) text += string_bounds(schema, path);
    if (is_integer) text += integer_bounds(schema, path);
    return text + '}';
  }

  // Those of numbers with fractions would not be held to exactly.
  void refuse_bounds(const Json& schema, const std::string& path) {
    for (const char* name : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
      if (schema.find(name) == nullptr) continue;
      refuse(path + '/' + name, "bounds are enforced for integers alone");
    }
  }

  std::string integer_bounds(const Json& schema, const std::string& path) {
    std::int64_t least = -kIntegerMax;
    std::int64_t most = kIntegerMax;
    bool bounded_below = false;
    bool bounded_above = false;
    for (const auto& [name, below, add] : {std::tuple{"minimum", true, 0},
                                           {"exclusiveMinimum", true, 1},
                                           {"maximum", false, 0},
                                           {"exclusiveMaximum", false, -1}}) {
      const Json* bound = schema.find(name);
      if (bound == nullptr) continue;
      const auto number = small_integer(*bound);
      if (!number) return refuse(path + '/' + name, "it must be an integer of at most 15 digits");
      (below ? bounded_below : bounded_above) = true;
      if (below) least = std::max(least, *number + add);
      if (!below) most = std::min(most, *number + add);
    }
    if (least > most) return refuse(path, "no integer is within these bounds");
    std::string text;
    if (bounded_below) text += ",\"minimum\":" + std::to_string(least);
    if (bounded_above) text += ",\"maximum\":" + std::to_string(most);
    return text;
  }

  std::string string_bounds(const Json& schema, const std::string& path) {
    const Json* pattern = schema.find("pattern");
    std::array<std::int64_t, 2> bounds{0, kLengthMax};
    std::string text;
    for (std::size_t which = 0; which < 2; ++which) {
      const std::string name = which == 0 ? "minLength" : "maxLength";
      const Json* bound = schema.find(name);
      if (bound == nullptr) continue;
      const auto number = small_integer(*bound);
      if (!number || *number < 0 || *number > kLengthMax) {
        return refuse(path + '/' + name,
                      "it must be an integer from 0 to " + std::to_string(kLengthMax));
      }
      if (pattern != nullptr) return refuse(path + '/' + name, "it is not enforced with pattern");
      bounds[which] = *number;
      text += ",\"" + name + "\":" + std::to_string(*number);
    }
    if (bounds[0] > bounds[1]) return refuse(path + "/minLength", "it is more than maxLength");
    if (pattern != nullptr) text += ",\"pattern\":" + quoted(checked_pattern(*pattern, path));
    return text;
  }

  // A pattern may match anywhere in a text; what is enforced is one for the whole text.
  std::string checked_pattern(const Json& pattern, const std::string& path) {
    const std::string where = path + "/pattern";
    const std::string& text = pattern.text;
    if (!pattern.is(Json::Kind::string) || text.size() > kPatternBytesMax) {
      return refuse(where,
                    "it must be a text of at most " + std::to_string(kPatternBytesMax) + " bytes");
    }
    if (text.size() < 2 || text.front() != '^' || text.back() != '$' ||
        text[text.size() - 2] == '\\') {
      return refuse(where, "it must begin with ^ and end with $, so that all of the text is meant");
    }
    const std::string inner = text.substr(1, text.size() - 2);
    bool in_class = false;
    for (std::size_t at = 0; at < inner.size(); ++at) {
      const char byte = inner[at];
      if (byte == '\\') {
        ++at;
        if (at < inner.size() && std::string_view("dwDW.-+*?()[]{}|^$/\\ntr").find(inner[at]) ==
                                     std::string_view::npos) {
          return refuse(where, std::string("\\") + inner[at] + " is not enforced");
        }
        continue;
      }
      if (byte == '[') in_class = true;
      if (byte == ']') in_class = false;
      if (in_class) continue;
      if (byte == '^' || byte == '$' || (byte == '(' && inner.compare(at, 2, "(?") == 0)) {
        return refuse(where, "anchors inside and groups with (? are not enforced");
      }
      if (byte == '|' && depth_at(inner, at) == 0) {
        return refuse(where, "alternatives must stand in a group: ^(a|b)$");
      }
    }
    if (has_bomb(inner)) return refuse(where, "its counted repetitions are too long");
    return text;
  }

  static int depth_at(const std::string& text, std::size_t end) {
    int depth = 0;
    for (std::size_t at = 0; at < end; ++at) {
      if (text[at] == '\\')
        ++at;
      else if (text[at] == '(')
        ++depth;
      else if (text[at] == ')')
        --depth;
    }
    return depth;
  }

  std::string object(const Json& schema, const std::string& path) {
    const Json* properties = schema.find("properties");
    const Json* others = schema.find("additionalProperties");
    const Json* required = schema.find("required");
    const bool none = others != nullptr && others->is(Json::Kind::boolean) && !others->truth;
    if (properties == nullptr && !none) {
      if (required != nullptr) {
        return refuse(path + "/required", "it needs properties that declare what is required");
      }
      const std::string any = "true";
      return R"({"type":"object","additionalProperties":)" +
             (others == nullptr ? any : value(*others, path + "/additionalProperties")) + '}';
    }
    if (others != nullptr && !none) {
      // "\u0061" would pass for another name than "a".
      return refuse(path + "/additionalProperties", "beside properties only false is enforced");
    }
    static const Json nothing{Json::Kind::object};
    if (properties == nullptr) properties = &nothing;
    if (!properties->is(Json::Kind::object)) {
      return refuse(path + "/properties", "it must be an object");
    }
    count(properties_, properties->members.size(), kPropertiesMax, path, " properties");
    // The number keeps xgrammar from taking two objects for one: it leaves names such as "title"
    // out when it compares them.
    std::string text = R"({"type":"object","x-number":)" + std::to_string(++objects_) +
                       R"(,"additionalProperties":false,"properties":{)";
    for (std::size_t at = 0; at < properties->members.size(); ++at) {
      const auto& [name, inner] = properties->members[at];
      const std::string where = path + "/properties/" + name;
      if (has_escapes(name)) return refuse(where, "names with quotes are not enforced");
      text += (at > 0 ? "," : "") + quoted(name) + ':' + value(inner, where);
    }
    text += "}" + required_names(required, *properties, path) + '}';
    return text;
  }

  static bool has_escapes(const std::string& name) {
    return std::any_of(name.begin(), name.end(), [](char byte) {
      return byte == '"' || byte == '\\' || byte == '/' || static_cast<unsigned char>(byte) < 0x20;
    });
  }

  std::string required_names(const Json* required, const Json& properties,
                             const std::string& path) {
    if (required == nullptr) return "";
    if (!required->is(Json::Kind::array)) {
      refuse(path + "/required", "it must be a list of names");
      return "";
    }
    std::string text;
    for (const Json& name : required->items) {
      if (!name.is(Json::Kind::string) || properties.find(name.text) == nullptr) {
        refuse(path + "/required", "it names a property that properties do not declare");
        return "";
      }
      text += (text.empty() ? "" : ",") + quoted(name.text);
    }
    return text.empty() ? "" : R"(,"required":[)" + text + "]";
  }

  std::string array(const Json& schema, const std::string& path) {
    const Json* items = schema.find("items");
    std::string text =
        R"({"type":"array","items":)" + (items == nullptr ? "{}" : value(*items, path + "/items"));
    std::array<std::int64_t, 2> bounds{0, kLengthMax};
    for (std::size_t which = 0; which < 2; ++which) {
      const std::string name = which == 0 ? "minItems" : "maxItems";
      const Json* bound = schema.find(name);
      if (bound == nullptr) continue;
      const auto number = small_integer(*bound);
      if (!number || *number < 0 || *number > kRepeatMax) {
        return refuse(path + '/' + name,
                      "it must be an integer from 0 to " + std::to_string(kRepeatMax));
      }
      bounds[which] = *number;
      text += ",\"" + name + "\":" + std::to_string(*number);
    }
    if (bounds[0] > bounds[1]) return refuse(path + "/minItems", "it is more than maxItems");
    return text + '}';
  }

  // References that lead back to themselves without a member or an item on the way have no value.
  void check_endless() {
    std::set<const Json*> path;
    follow(root_, path, "");
    for (const auto& [uri, schema] : referred_) follow(*schema, path, uri.substr(1));
  }
  void follow(const Json& schema, std::set<const Json*>& path, const std::string& name) {
    if (error_) return;
    if (!path.insert(&schema).second || path.size() > kSchemaDepthMax) {
      refuse(name, "its references lead back to itself");
      return;
    }
    if (const Json* uri = schema.find("$ref")) {
      for (const auto& [known, target] : referred_) {
        if (known == uri->text) follow(*target, path, name);
      }
    } else if (const Json* options = schema.find("anyOf")) {
      for (const Json& option : options->items) follow(option, path, name);
    }
    path.erase(&schema);
  }

  const Json& root_;
  std::string param_;
  std::optional<base::Error> error_;
  std::vector<std::pair<std::string, const Json*>> referred_;
  std::size_t keywords_ = 0;
  std::size_t properties_ = 0;
  std::size_t enum_values_ = 0;
  std::size_t enum_bytes_ = 0;
  std::size_t objects_ = 0;
};

}  // namespace

base::Result<std::string> checked_schema(std::string_view schema, const std::string& param) {
  if (schema.size() > kSchemaBytesMax) {
    return base::make_error(base::ErrorCode::invalid_request,
                            param + " has more than " + std::to_string(kSchemaBytesMax) + " bytes",
                            param);
  }
  const base::Result<Json> root = parse_json(schema, kSchemaDepthMax, param);
  if (root.has_error()) return root.error();
  return Checker(*root, param).check();
}

}  // namespace deepseek::grammar
