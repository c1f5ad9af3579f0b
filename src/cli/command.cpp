#include "cli/command.hpp"

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
  return nullptr;
}

bool take_word(Command& command, std::string_view word, bool& has_action, bool& has_prompt) {
  if (!has_action) {
    has_action = true;
    if (word == "ask") command.action = Action::ask;
    if (word == "models") command.action = Action::models;
    if (word == "health") command.action = Action::health;
    return command.action != Action::help;
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
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (only_words || !argument.starts_with("-") || argument == "-") {
      if (!take_word(command, argument, has_action, has_prompt)) {
        return bad("found " + shown(argument) +
                   "; allowed are ask \"PROMPT\" (in quotes), models and health");
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
  if (command.action == Action::ask && command.prompt.empty()) return bad("ask needs a prompt");
  return command;
}

std::string_view help_text() {
  return "deepseek asks a running deepseek-server.\n"
         "\n"
         "Usage:\n"
         "  deepseek ask \"PROMPT\"   print the answer as it comes; PROMPT - reads standard input\n"
         "  deepseek models         list the models and their other names\n"
         "  deepseek health         say whether the server is ready\n"
         "\n"
         "Flags:\n"
         "  --model NAME   the model to ask; without it the server's default\n"
         "  --url URL      the server (default http://127.0.0.1:8080)\n"
         "  --ca FILE      PEM certificates to trust with https (default: the system's)\n"
         "  --no-stream    print the answer when it is complete\n"
         "  --help, --version\n"
         "\n"
         "The variable DEEPSEEK_API_KEY, if set, is sent as the key.\n"
         "Exit status: 0 done, 1 the server refused or failed, 2 wrong command line.\n";
}

}  // namespace deepseek::cli
