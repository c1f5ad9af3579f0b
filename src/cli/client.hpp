// Runs one command against a server: sends the request, prints what comes, gives the exit status.
//
// Blocks; called once by main() on its only thread.
#pragma once

#include "cli/command.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace deepseek::cli {

struct Outputs {
  std::function<void(std::string_view)> out;    // answers
  std::function<void(std::string_view)> error;  // one line, without its end
};

// For explain_route `command.prompt` is the question (explanation.hpp).
// 0: done; 1: the server is not there, refused or failed; 2: the URL or a file is wrong.
int run_command(const Command& command, const std::string& key, const Outputs& outputs);

}  // namespace deepseek::cli
