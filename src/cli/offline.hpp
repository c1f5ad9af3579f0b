// Asks the program deepseek-server, which lies beside this one, instead of a running server.
//
// Blocks; used once by main().
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace deepseek::cli {

// Runs it with these arguments and `input` on its standard input; returns what it prints. Its
// complaints go to standard error. Error: unavailable, if it cannot run or refuses.
base::Result<std::string> ask_server_program(const std::vector<std::string>& arguments,
                                             const std::string& input);

}  // namespace deepseek::cli
