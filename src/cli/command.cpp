#include "cli/command.hpp"

#include <utility>

namespace deepseek::cli {
namespace {

using base::ErrorCode;
using base::make_error;
using Action = Command::Action;

base::Error bad(const std::string& message) {
  return make_error(ErrorCode::invalid_request, message + "; try deepseek --help");
}

std::string shown(std::string_view text) {
  return "\"" + std::string(text.substr(0, 60)) + "\"";
}

// The member that a flag with a value sets; null if there is no such flag.
std::string* value_of(Command& command, std::string_view flag) {
  if (flag == "--url") return &command.url;
  if (flag == "--model") return &command.model;
  if (flag == "--ca") return &command.trust;
  if (flag == "--config") return &command.config;
  if (flag == "--body") return &command.body_path;
  if (flag == "--message") return &command.prompt;
  if (flag == "--tenant") return &command.tenant;
  return nullptr;
}

// "x-tier=gold" into the command's headers.
bool take_header(Command& command, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return false;
  std::string name;
  for (const char c : text.substr(0, equals)) {
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  command.headers.emplace_back(std::move(name), text.substr(equals + 1));
  return true;
}

// What belongs to one action only.
base::Result<void> check(const Command& command, bool route) {
  if (route) return bad("route needs explain behind it");
  const bool explains = command.action == Action::explain_route;
  const bool extra = !command.config.empty() || !command.body_path.empty() ||
                     !command.tenant.empty() || !command.headers.empty();
  if (!explains && extra) {
    return bad("--config, --body, --tenant and --header are flags of route explain");
  }
  if (command.action == Action::ask && command.prompt.empty()) return bad("ask needs a prompt");
  if (explains && command.prompt.empty() && command.body_path.empty()) {
    return bad("route explain needs --message TEXT or --body FILE");
  }
  return {};
}

bool take_word(Command& command, std::string_view word, bool& has_action, bool& has_prompt,
               bool& route) {
  if (std::exchange(route, false)) {
    if (word == "explain") command.action = Action::explain_route;
    return word == "explain";
  }
  if (!has_action) {
    has_action = true;
    if (word == "ask") command.action = Action::ask;
    if (word == "models") command.action = Action::models;
    if (word == "health") command.action = Action::health;
    route = word == "route";
    return route || command.action != Action::help;
  }
  if (command.action != Action::ask || has_prompt) return false;
  has_prompt = true;
  command.prompt = word;
  return true;
}

}  // namespace

base::Result<Command> parse_command(std::span<const std::string_view> arguments) {
  Command command;
  bool has_action = false;
  bool has_prompt = false;
  bool only_words = false;
  bool route = false;  // said, and nothing behind it yet
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (only_words || !argument.starts_with("-") || argument == "-") {
      if (!take_word(command, argument, has_action, has_prompt, route)) {
        return bad("found " + shown(argument) +
                   "; allowed are ask \"PROMPT\" (in quotes), models, health and route explain");
      }
      continue;
    }
    if (argument == "--") {
      only_words = true;
      continue;
    }
    if (argument == "--help" || argument == "-h" || argument == "--version") {
      command.action = argument == "--version" ? Action::version : Action::help;
      return command;
    }
    if (argument == "--no-stream") {
      command.stream = false;
      continue;
    }
    const auto equals = argument.find('=');
    if (argument == "--header") {
      if (i + 1 == arguments.size() || !take_header(command, arguments[++i])) {
        return bad("--header needs NAME=VALUE");
      }
      continue;
    }
    std::string* const value = value_of(command, argument.substr(0, equals));
    if (value == nullptr) return bad("unknown flag " + shown(argument.substr(0, equals)));
    value->clear();
    if (equals != std::string_view::npos) {
      *value = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size()) {
      *value = arguments[++i];
    }
    if (value->empty()) return bad(std::string(argument.substr(0, equals)) + " needs a value");
  }
  if (!has_action) return bad("nothing to do");
  auto checked = check(command, route);
  if (checked.has_error()) return checked.error();
  if (command.url.empty()) {
    command.url =
        command.action == Action::explain_route ? "http://127.0.0.1:8081" : "http://127.0.0.1:8080";
  }
  return command;
}

std::string_view help_text() {
  return "deepseek asks a running deepseek-server.\n"
         "\n"
         "Usage:\n"
         "  deepseek ask \"PROMPT\"   print the answer as it comes; PROMPT - reads standard input\n"
         "  deepseek models         list the models and their other names\n"
         "  deepseek health         say whether the server is ready\n"
         "  deepseek route explain  say which backend would get a request, and why\n"
         "\n"
         "Flags:\n"
         "  --model NAME   the model to ask; without it the server's default\n"
         "  --url URL      the server (default http://127.0.0.1:8080; for route explain its\n"
         "                 metrics port, http://127.0.0.1:8081)\n"
         "  --ca FILE      PEM certificates to trust with https (default: the system's)\n"
         "  --no-stream    print the answer when it is complete\n"
         "  --help, --version\n"
         "\n"
         "Flags of route explain:\n"
         "  --message TEXT, --body FILE   the request: one message, or all of it as JSON\n"
         "  --header NAME=VALUE           a header that it has; may be repeated\n"
         "  --tenant NAME                 who asks (default: default)\n"
         "  --config FILE                 ask no server: take this configuration, with all\n"
         "                                backends well and idle\n"
         "\n"
         "The variable DEEPSEEK_API_KEY, if set, is sent as the key.\n"
         "Exit status: 0 done, 1 the server refused or failed, 2 wrong command line.\n";
}

}  // namespace deepseek::cli
