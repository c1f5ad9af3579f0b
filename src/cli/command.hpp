// What the command line of `deepseek` asks for. Pure.
#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::cli {

struct Command {
  enum class Action { ask, models, health, explain_route, help, version };
  Action action = Action::help;
  std::string url;     // the server, or its metrics port for explain_route
  std::string trust;   // --ca FILE: what to trust with https; empty: the system's certificates
  std::string model;   // empty: the server's default
  std::string prompt;  // "-": standard input
  bool stream = true;
  // Of explain_route, whose message is `prompt`.
  std::string config;     // --config FILE: asks no server; empty: asks the one at `url`
  std::string body_path;  // --body FILE: the request; empty: one with the message
  std::string tenant;
  std::vector<std::pair<std::string, std::string>> headers;  // names in small letters
};

// `arguments` without argv[0].
base::Result<Command> parse_command(std::span<const std::string_view> arguments);
std::string_view help_text();

}  // namespace deepseek::cli
