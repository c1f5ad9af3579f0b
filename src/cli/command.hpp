// What the command line of `deepseek` asks for. Pure.
#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>

namespace deepseek::cli {

struct Command {
  enum class Action { ask, models, health, help, version };
  Action action = Action::help;
  std::string url = "http://127.0.0.1:8080";
  std::string trust;   // --ca FILE: what to trust with https; empty: the system's certificates
  std::string model;   // empty: the server's default
  std::string prompt;  // "-": standard input
  bool stream = true;
};

// `arguments` without argv[0].
base::Result<Command> parse_command(std::span<const std::string_view> arguments);
std::string_view help_text();

}  // namespace deepseek::cli
