#include "engine/tool_check.hpp"

#include "engine/json_relay.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace deepseek::engine {
namespace {

namespace wire = ::deepseek::engine::v1;

constexpr std::size_t kNameMax = 64;

base::Error refusal(const std::string& what, const std::string& param) {
  return base::make_error(base::ErrorCode::invalid_request, what, param);
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameMax &&
         std::all_of(name.begin(), name.end(), [](char byte) {
           return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                  (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
         });
}

std::string entry(const char* list, int index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

// As the relay reads it: an object, and nothing behind it. Deeper than a relay goes is refused.
bool is_object(const std::string& text) {
  JsonRelay relay;
  std::string copy;
  std::size_t at = text.find_first_not_of(" \t\r\n");
  if (at == std::string::npos || text[at] != '{') return false;
  JsonRelay::Status status = JsonRelay::Status::open;
  for (; at < text.size() && status == JsonRelay::Status::open; ++at) {
    status = relay.push(text[at], copy);
    copy.clear();
  }
  return status == JsonRelay::Status::whole &&
         text.find_first_not_of(" \t\r\n", at) == std::string::npos;
}

base::Result<void> check_list(const wire::Chat& chat) {
  std::set<std::string> names;
  for (int i = 0; i < chat.tools_size(); ++i) {
    const wire::Tool& tool = chat.tools(i);
    const std::string function = entry("tools", i) + ".function";
    if (!valid_name(tool.name())) {
      return refusal("A tool's name must be 1 to 64 characters of a-z, A-Z, 0-9, _ and -.",
                     function + ".name");
    }
    if (!names.insert(tool.name()).second) {
      return refusal("Two tools have the name \"" + tool.name() + "\".", function + ".name");
    }
    if (!tool.parameters().empty() && !is_object(tool.parameters())) {
      return refusal("A tool's parameters must be a JSON Schema object, at most " +
                         std::to_string(JsonRelay::kDepthMax) + " levels deep.",
                     function + ".parameters");
    }
  }
  return {};
}

base::Result<void> check_choice(const wire::Chat& chat) {
  const bool must = chat.tool_choice() == wire::REQUIRED || chat.tool_choice() == wire::NAMED;
  if (must && chat.tools().empty()) {
    return refusal("tool_choice asks for a call, and there are no tools.", "tool_choice");
  }
  if (chat.tool_choice() != wire::NAMED) return {};
  const bool known =
      std::any_of(chat.tools().begin(), chat.tools().end(),
                  [&chat](const wire::Tool& tool) { return tool.name() == chat.tool_name(); });
  if (known) return {};
  return refusal("tool_choice names \"" + chat.tool_name() + "\", which is not among the tools.",
                 "tool_choice");
}

base::Result<void> check_calls(const wire::Chat& chat) {
  for (int i = 0; i < chat.messages_size(); ++i) {
    const wire::ChatMessage& message = chat.messages(i);
    for (int j = 0; j < message.tool_calls_size(); ++j) {
      const wire::ToolCall& call = message.tool_calls(j);
      const std::string function =
          entry("messages", i) + '.' + entry("tool_calls", j) + ".function";
      if (call.name().empty()) return refusal("A call has no name.", function + ".name");
      if (!call.arguments().empty() && !is_object(call.arguments())) {
        return refusal("The arguments of a call must be a JSON object.", function + ".arguments");
      }
    }
  }
  return {};
}

}  // namespace

base::Result<void> check_tools(const wire::Chat& chat) {
  base::Result<void> checked = check_list(chat);
  if (checked.has_error()) return checked;
  checked = check_choice(chat);
  if (checked.has_error()) return checked;
  return check_calls(chat);
}

std::size_t tool_bytes(const wire::Chat& chat) {
  std::size_t bytes = 0;
  if (chat.tool_choice() != wire::NONE) {
    for (const wire::Tool& tool : chat.tools()) {
      bytes += tool.name().size() + tool.description().size() + tool.parameters().size();
    }
  }
  for (const wire::ChatMessage& message : chat.messages()) {
    for (const wire::ToolCall& call : message.tool_calls()) {
      bytes += call.name().size() + call.arguments().size();
    }
  }
  return bytes;
}

}  // namespace deepseek::engine
