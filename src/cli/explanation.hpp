// `deepseek route explain`: the question for the server, and its answer as text for a terminal.
// Pure.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"

#include <string>
#include <string_view>

namespace deepseek::cli {

// The body of POST /routes/explain. `body` is the text of --body; empty: made from --model and
// --message. Error: a body that is no JSON object.
base::Result<std::string> explain_question(const Command& command, std::string_view body);
// What it answers, in words. Not made safe for a terminal: see for_terminal().
base::Result<std::string> explanation(std::string_view answer);

}  // namespace deepseek::cli
