// Reads what the answer's text must be: OpenAI's response_format, vLLM's structured_outputs and its
// older guided_*, and grammar, regex and choice by themselves.
#include "protocol/quote.hpp"
#include "protocol/request_fields.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace deepseek::protocol {
namespace {

namespace json = boost::json;

constexpr Bound text_bound{64 << 10};   // a regular expression or a grammar
constexpr Bound choices_bound{1024};    // texts to choose from
constexpr Bound choice_bound{4 << 10};  // bytes of one of them

class ConstraintReader {
 public:
  explicit ConstraintReader(Request& request) : request_(request) {}

  // Takes the constraint that `reader` has under `name`, if it is there.
  void take(JsonReader& reader, std::string_view name, Constraint::Kind kind) {
    const json::value* value = reader.find(name);
    if (value == nullptr) return;
    const std::string path = reader.path_of(name);
    Constraint made{kind, {}, {}, path};
    switch (kind) {
      case Constraint::Kind::json_object:
        if (!reader.optional_boolean(name).value_or(false)) return;
        break;
      case Constraint::Kind::json_schema:
        read_schema(reader, path, *value, made.text);
        break;
      case Constraint::Kind::choice:
        read_choices(reader, name, made.choices);
        break;
      default:
        made.text = reader.required_string(name, text_bound);
    }
    set(reader, std::move(made));
  }

  void set(JsonReader& reader, Constraint made) {
    if (reader.failed()) return;
    if (request_.constraint.kind != Constraint::Kind::none) {
      reader.refuse(made.param, request_.constraint.param + " and " + made.param +
                                    " both say what the answer must be; give one of them");
      return;
    }
    note_feature(request_, Feature::response_format, made.param);
    request_.constraint = std::move(made);
  }

  // A schema, as JSON or as text of it.
  static void read_schema(JsonReader& reader, const std::string& path, const json::value& value,
                          std::string& text) {
    if (value.is_string()) {
      text.assign(value.get_string().data(), value.get_string().size());
    } else if (value.is_object() || value.is_bool()) {
      text = json::serialize(value);
    } else {
      reader.refuse_value(path, "a JSON Schema", value);
    }
  }

 private:
  static void read_choices(JsonReader& reader, std::string_view name,
                           std::vector<std::string>& choices) {
    const json::array* list = reader.optional_list(name, choices_bound);
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
      auto text = reader.string((*list)[i], entry_path(reader.path_of(name), i), choice_bound);
      if (!text) return;
      choices.push_back(std::move(*text));
    }
  }

  Request& request_;
};

void read_response_format(JsonReader& reader, ConstraintReader& constraint) {
  auto format = reader.optional_object("response_format");
  if (!format) return;
  const std::string type = format->required_string("type", {64});
  auto inner = format->optional_object("json_schema");
  if (type == "json_object") {
    constraint.set(*format, {Constraint::Kind::json_object, {}, {}, "response_format"});
  } else if (type == "json_schema") {
    // OpenAI's has a name and the schema; some clients send the schema itself.
    JsonReader& holder = inner ? *inner : *format;
    constraint.take(holder, "schema", Constraint::Kind::json_schema);
    if (holder.find("schema") == nullptr) {
      holder.refuse(holder.path_of("schema"), holder.path_of("schema") + " is missing");
    }
  } else if (type == "grammar" || type == "regex") {
    const auto kind = type == "regex" ? Constraint::Kind::regex : Constraint::Kind::grammar;
    constraint.take(*format, type, kind);
  } else if (type != "text") {
    format->refuse("response_format.type",
                   "response_format.type must be \"text\", \"json_object\" or \"json_schema\", "
                   "found " +
                       quote_value(type));
  }
}

}  // namespace

void read_constraint(JsonReader& reader, Request& request) {
  using enum Constraint::Kind;
  ConstraintReader constraint(request);
  read_response_format(reader, constraint);
  constraint.take(reader, "grammar", grammar);
  constraint.take(reader, "regex", regex);
  constraint.take(reader, "choice", choice);
  constraint.take(reader, "guided_json", json_schema);
  constraint.take(reader, "guided_grammar", grammar);
  constraint.take(reader, "guided_regex", regex);
  constraint.take(reader, "guided_choice", choice);
  if (auto outputs = reader.optional_object("structured_outputs")) {
    constraint.take(*outputs, "json", json_schema);
    constraint.take(*outputs, "json_object", json_object);
    constraint.take(*outputs, "grammar", grammar);
    constraint.take(*outputs, "regex", regex);
    constraint.take(*outputs, "choice", choice);
  }
}

}  // namespace deepseek::protocol
