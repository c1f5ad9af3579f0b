// What the text of an answer must be, as the engine's worker hands it to the compiler.
//
// A plain value.
#pragma once

#include <string>
#include <vector>

namespace deepseek::grammar {

struct Constraint {
  enum class Kind {
    json_object,     // any JSON object
    json_schema,     // JSON that is valid against the schema
    ebnf,            // a text of the grammar; its first rule is `root`
    regex,           // the whole text matches
    choice,          // one of `choices`
    structural_tag,  // xgrammar's structural tag, as JSON: formats of tool calls
  };
  Kind kind = Kind::json_object;
  std::string text;                  // the schema, the grammar, the expression or the tag
  std::vector<std::string> choices;  // Kind::choice
  std::string param;                 // the client's field, for refusals
};

}  // namespace deepseek::grammar
