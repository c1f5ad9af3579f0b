#include "engine/tool_prompt.hpp"

#include "engine/json_relay.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace deepseek::engine {
namespace {

namespace wire = ::deepseek::engine::v1;

constexpr std::string_view kNoParameters = R"({"type": "object", "properties": {}})";

bool as_text(ToolFormat format) {
  return format == ToolFormat::generic || format == ToolFormat::other;
}

std::string arguments_of(const wire::ToolCall& call) {
  return call.arguments().empty() ? "{}" : call.arguments();
}

std::string parameters_of(const wire::Tool& tool) {
  return tool.parameters().empty() ? std::string(kNoParameters) : tool.parameters();
}

// DeepSeek's own words for its models whose templates say nothing of tools.
std::string deepseek_description(const wire::Chat& chat, ToolFormat format) {
  std::string text = "## Tools\nYou have access to the following tools:\n";
  for (const wire::Tool& tool : chat.tools()) {
    text += "\n### " + tool.name() + "\nDescription: " + tool.description() +
            "\n\nParameters: " + parameters_of(tool) + "\n";
  }
  std::string call(kCallBegin);
  if (format == ToolFormat::deepseek_plain) {
    call += "tool_call_name" + std::string(kCallSeparator) + "tool_call_arguments";
  } else {
    call += "function" + std::string(kCallSeparator) +
            "tool_call_name\n```json\ntool_call_arguments\n```";
  }
  call += kCallEnd;
  text += "\nTo call tools, write exactly this and nothing behind it:\n" +
          std::string(kCallsBegin) + call + std::string(kCallsEnd) +
          "\n\nThe name must be that of one of the tools, the arguments a JSON object that follows "
          "its parameters. Several calls stand one behind the other between the outer marks.";
  return text;
}

std::string generic_description(const wire::Chat& chat) {
  std::string text =
      "You may call one or more functions to assist with the user query. The functions are given "
      "as JSON within <tools></tools>:\n<tools>\n";
  for (const wire::Tool& tool : chat.tools()) {
    text += R"({"type": "function", "function": {"name": )" + json_string(tool.name()) +
            R"(, "description": )" + json_string(tool.description()) + R"(, "parameters": )" +
            parameters_of(tool) + "}}\n";
  }
  text +=
      "</tools>\nFor each function call, return a JSON object with the function's name and "
      "arguments within <tool_call></tool_call>:\n<tool_call>\n{\"name\": <function-name>, "
      "\"arguments\": <args-json-object>}\n</tool_call>";
  return text;
}

std::string must_call(const wire::Chat& chat) {
  if (chat.tool_choice() == wire::NAMED) {
    return "\n\nYou must call the function " + chat.tool_name() + " now.";
  }
  return chat.tool_choice() == wire::REQUIRED ? "\n\nYou must call a function now." : "";
}

void describe_tools(wire::Chat& chat, ToolFormat format) {
  const std::string text =
      (as_text(format) ? generic_description(chat) : deepseek_description(chat, format)) +
      must_call(chat);
  if (chat.messages(0).role() == "system" || chat.messages(0).role() == "developer") {
    wire::ChatMessage& system = *chat.mutable_messages(0);
    system.set_content(system.content().empty() ? text : system.content() + "\n\n" + text);
    return;
  }
  wire::Chat described = chat;
  described.clear_messages();
  wire::ChatMessage& system = *described.add_messages();
  system.set_role("system");
  system.set_content(text);
  described.mutable_messages()->MergeFrom(chat.messages());
  chat = std::move(described);
}

// Runs of results, in the order of the calls before them.
void order_results(wire::Chat& chat) {
  std::vector<std::string> ids;
  auto* messages = chat.mutable_messages();
  const auto place = [&ids](const wire::ChatMessage& message) {
    return std::find(ids.begin(), ids.end(), message.tool_call_id()) - ids.begin();
  };
  for (int i = 0; i < messages->size(); ++i) {
    if (messages->at(i).role() != "tool") {
      if (messages->at(i).role() != "assistant") continue;
      ids.clear();
      for (const wire::ToolCall& call : messages->at(i).tool_calls()) ids.push_back(call.id());
      continue;
    }
    int end = i;
    while (end < messages->size() && messages->at(end).role() == "tool") ++end;
    std::stable_sort(messages->begin() + i, messages->begin() + end,
                     [&place](const wire::ChatMessage& left, const wire::ChatMessage& right) {
                       return place(left) < place(right);
                     });
    i = end - 1;
  }
}

void calls_as_text(wire::ChatMessage& message) {
  std::string text = message.content();
  for (const wire::ToolCall& call : message.tool_calls()) {
    if (!text.empty()) text += '\n';
    text += std::string(kObjectBegin) + "\n{\"name\": " + json_string(call.name()) +
            ", \"arguments\": " + arguments_of(call) + "}\n" + std::string(kObjectEnd);
  }
  message.set_content(std::move(text));
  message.clear_tool_calls();
}

// Users' turns that follow each other become one: many templates want them to alternate.
void show_as_text(wire::Chat& chat) {
  wire::Chat shown = chat;
  shown.clear_messages();
  bool after_result = false;
  for (wire::ChatMessage& message : *chat.mutable_messages()) {
    const bool result = message.role() == "tool";
    if (message.tool_calls_size() > 0) calls_as_text(message);
    if (result) {
      message.set_role("user");
      message.set_content("<tool_response>\n" + message.content() + "\n</tool_response>");
      message.clear_tool_call_id();
      message.clear_name();
    }
    if (after_result && message.role() == "user") {
      wire::ChatMessage& last = *shown.mutable_messages(shown.messages_size() - 1);
      last.set_content(last.content() + "\n" + message.content());
      continue;
    }
    after_result = result;
    *shown.add_messages() = std::move(message);
  }
  chat = std::move(shown);
}

// Several calls at once become one after the other, each with its result.
void one_call_each(wire::Chat& chat) {
  wire::Chat split = chat;
  split.clear_messages();
  for (int i = 0; i < chat.messages_size(); ++i) {
    const wire::ChatMessage& message = chat.messages(i);
    const int calls = message.tool_calls_size();
    if (calls < 2) {
      *split.add_messages() = message;
      continue;
    }
    int results = 0;
    while (i + 1 + results < chat.messages_size() &&
           chat.messages(i + 1 + results).role() == "tool") {
      ++results;
    }
    for (int call = 0; call < calls; ++call) {
      wire::ChatMessage& single = *split.add_messages();
      single = message;
      single.clear_tool_calls();
      *single.add_tool_calls() = message.tool_calls(call);
      if (call < results) *split.add_messages() = chat.messages(i + 1 + call);
    }
    for (int rest = calls; rest < results; ++rest) {
      *split.add_messages() = chat.messages(i + 1 + rest);
    }
    i += results;
  }
  chat = std::move(split);
}

bool plain(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9');
}

}  // namespace

std::string mistral_id(std::string_view id) {
  if (id.size() == 9 && std::all_of(id.begin(), id.end(), plain)) return std::string(id);
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  for (const char byte : id) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  std::string mapped;
  for (int digit = 0; digit < 9; ++digit, hash /= 36) {
    mapped += "0123456789abcdefghijklmnopqrstuvwxyz"[hash % 36];
  }
  return mapped;
}

wire::Chat prepare_tools(wire::Chat chat, const ToolPrompt& prompt) {
  if (chat.messages().empty()) return chat;
  if (chat.tool_choice() == wire::NONE) chat.clear_tools();
  order_results(chat);
  if (!chat.tools().empty() && !prompt.shows_tools) {
    describe_tools(chat, prompt.format);
    chat.clear_tools();
  }
  if (as_text(prompt.format)) show_as_text(chat);
  if (prompt.format == ToolFormat::llama3) one_call_each(chat);
  if (prompt.format == ToolFormat::mistral_list || prompt.format == ToolFormat::mistral_named) {
    for (wire::ChatMessage& message : *chat.mutable_messages()) {
      if (message.role() == "tool") message.set_tool_call_id(mistral_id(message.tool_call_id()));
      for (wire::ToolCall& call : *message.mutable_tool_calls()) call.set_id(mistral_id(call.id()));
    }
  }
  return chat;
}

}  // namespace deepseek::engine
