#include "gateway/engine_chat.hpp"

#include <algorithm>
#include <variant>

namespace deepseek::gateway {
namespace {

// Texts and images, from `next` on, in their order.
void add_parts(const protocol::Message& message, ImageFiles::const_iterator& next,
               wire::ChatMessage& added) {
  for (const protocol::ContentPart& part : message.content) {
    if (const auto* text = std::get_if<protocol::TextPart>(&part)) {
      added.add_parts()->set_text(text->text);
      continue;
    }
    wire::Image& image = *added.add_parts()->mutable_image();
    image.set_file(next->bytes);
    image.set_param(next->param);
    ++next;
  }
}

bool has_images(const protocol::Message& message) {
  return std::ranges::any_of(message.content, [](const protocol::ContentPart& part) {
    return std::holds_alternative<protocol::ImagePart>(part);
  });
}

void add_message(const protocol::Message& message, const ImageFiles& images,
                 ImageFiles::const_iterator& next, wire::Chat& chat) {
  wire::ChatMessage& added = *chat.add_messages();
  added.set_role(std::string(protocol::to_string(message.role)));
  if (!images.empty() && has_images(message)) {
    add_parts(message, next, added);
  } else {
    added.set_content(message.text());
  }
  added.set_name(message.name);
  added.set_reasoning_content(message.reasoning_content);
  added.set_tool_call_id(message.tool_call_id);
  for (const protocol::ToolCall& call : message.tool_calls) {
    wire::ToolCall& told = *added.add_tool_calls();
    told.set_id(call.id);
    told.set_name(call.name);
    told.set_arguments(call.arguments);
  }
}

wire::ToolChoice to_choice(protocol::ToolChoice::Kind kind) {
  switch (kind) {
    case protocol::ToolChoice::Kind::automatic:
      return wire::AUTO;
    case protocol::ToolChoice::Kind::none:
      return wire::NONE;
    case protocol::ToolChoice::Kind::required:
      return wire::REQUIRED;
    case protocol::ToolChoice::Kind::named:
      return wire::NAMED;
  }
  return wire::AUTO;
}

// DeepSeek's three, from everybody's.
std::string_view to_effort(std::string_view effort) {
  if (effort == "minimal" || effort == "low") return "low";
  if (effort == "ultra" || effort == "max") return "max";
  return effort.empty() || effort == "none" ? "" : "high";
}

}  // namespace

void set_chat(const protocol::Request& request, wire::Chat& chat, const ImageFiles& images) {
  auto next = images.begin();
  for (const protocol::Message& message : request.messages) {
    add_message(message, images, next, chat);
  }
  chat.set_continue_final_message(!request.messages.empty() &&
                                  request.messages.back().role == protocol::Role::assistant &&
                                  request.messages.back().prefix);
  chat.set_enable_thinking(request.thinking.value_or(request.reasoning_effort != "none"));
  chat.set_reasoning_effort(std::string(to_effort(request.reasoning_effort)));
  for (const protocol::Tool& tool : request.tools) {
    wire::Tool& told = *chat.add_tools();
    told.set_name(tool.name);
    told.set_description(tool.description);
    told.set_parameters(tool.parameters);
    told.set_strict(tool.strict);
  }
  chat.set_tool_choice(to_choice(request.tool_choice.kind));
  chat.set_tool_name(request.tool_choice.name);
  chat.set_parallel_tool_calls(request.parallel_tool_calls);
}

void set_constraint(const protocol::Constraint& constraint, wire::Constraint& told) {
  told.set_param(constraint.param);
  switch (constraint.kind) {
    case protocol::Constraint::Kind::none:
      break;
    case protocol::Constraint::Kind::json_object:
      told.set_json_object(true);
      break;
    case protocol::Constraint::Kind::json_schema:
      told.set_json_schema(constraint.text);
      break;
    case protocol::Constraint::Kind::grammar:
      told.set_grammar(constraint.text);
      break;
    case protocol::Constraint::Kind::regex:
      told.set_regex(constraint.text);
      break;
    case protocol::Constraint::Kind::choice:
      for (const std::string& choice : constraint.choices) {
        told.mutable_choice()->add_texts(choice);
      }
      break;
  }
}

}  // namespace deepseek::gateway
