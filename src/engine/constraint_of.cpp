#include "engine/constraint_of.hpp"

#include "engine/tool_check.hpp"
#include "engine/tool_tags.hpp"

#include <utility>

namespace deepseek::engine {
namespace {

std::optional<grammar::Constraint> given(const wire::Constraint& told) {
  using Kind = grammar::Constraint::Kind;
  switch (told.kind_case()) {
    case wire::Constraint::kJsonObject:
      return grammar::Constraint{Kind::json_object, {}, {}, told.param()};
    case wire::Constraint::kJsonSchema:
      return grammar::Constraint{Kind::json_schema, told.json_schema(), {}, told.param()};
    case wire::Constraint::kGrammar:
      return grammar::Constraint{Kind::ebnf, told.grammar(), {}, told.param()};
    case wire::Constraint::kRegex:
      return grammar::Constraint{Kind::regex, told.regex(), {}, told.param()};
    case wire::Constraint::kChoice: {
      const auto& texts = told.choice().texts();
      return grammar::Constraint{Kind::choice, {}, {texts.begin(), texts.end()}, told.param()};
    }
    case wire::Constraint::KIND_NOT_SET:
      break;
  }
  return std::nullopt;
}

}  // namespace

base::Result<std::optional<grammar::Constraint>> constraint_of(const wire::Submit& submit,
                                                               const TextModel& model) {
  std::optional<grammar::Constraint> answer;
  if (submit.has_constraint()) answer = given(submit.constraint());
  const wire::Chat& chat = submit.chat();
  const bool calls = !chat.tools().empty() && chat.tool_choice() != wire::NONE;
  if (!calls) return answer;
  const base::Result<void> checked = check_tools(chat);
  if (checked.has_error()) return checked.error();
  // What is begun may be the middle of a call.
  if (chat.continue_final_message()) return answer;
  return tool_tags(chat, model.tool_format(), answer);
}

}  // namespace deepseek::engine
