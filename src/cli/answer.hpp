// What the server's bodies say, as text for a terminal. Pure; input from a server is not trusted:
// control characters are taken out.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace deepseek::cli {

std::string chat_body(const std::string& model, const std::string& prompt, bool stream);

// The text of a whole chat completion; upstream_failed if the body is none.
base::Result<std::string> text_of_answer(std::string_view body);
// The text in one streamed frame: may be empty. "[DONE]" gives an empty text too. A frame with an
// `error` is an error.
base::Result<std::string> text_of_frame(std::string_view data);
// One line for each model: name, and what it is another name of.
base::Result<std::string> list_of_models(std::string_view body);
// The `error.message` of a refusal, else the status in words.
std::string refusal(int status, std::string_view body);
// A body of /health or /ready in one line.
std::string readiness(int status, std::string_view body);

// Without control characters but tab and line end.
std::string for_terminal(std::string_view text);

}  // namespace deepseek::cli
