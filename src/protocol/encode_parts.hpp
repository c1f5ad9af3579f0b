// Pieces of JSON that several encoders append: usage, logprobs, tool calls, the head of an answer.
//
// Pure; private to the encoders of this room. All append to a string, without a tree in between.
#pragma once

#include "protocol/encode.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

void append_usage(std::string& out, const Usage& usage);
void append_timings(std::string& out, const Timings& timings);
// {"content":[{"token","logprob","bytes","top_logprobs"}…],"refusal":null}
void append_chat_logprobs(std::string& out, const std::vector<TokenLogprob>& tokens);
// {"tokens","token_logprobs","top_logprobs","text_offset"}; `text_offset` is where the first token
// begins, in characters, and moves on.
void append_completion_logprobs(std::string& out, const std::vector<TokenLogprob>& tokens,
                                std::int64_t& text_offset);
// The arguments of a call as an object: a model may say anything, and what is none stands in
// {"arguments": text}.
void append_tool_input(std::string& out, const std::string& arguments);
void append_tool_calls(std::string& out, const std::vector<ToolCall>& calls);
// {"id":…,"object":…,"created":…,"model":…,"system_fingerprint":…  without the closing brace
std::string answer_prefix(const AnswerHead& head, std::string_view object);
// "data: " + text + "\n\n" for text without line ends.
std::string data_frame(std::string_view text);

inline constexpr std::string_view stream_end = "data: [DONE]\n\n";
// The last chunk of a stream whose client asked for usage: no choices. `prefix` ends in "[".
std::string usage_frame(const std::string& prefix, const Usage& usage);

// The text of the prompt that echo puts in front of choice `sequence`; empty without echo.
std::string_view echoed_prompt(const Request& request, std::size_t sequence);

}  // namespace deepseek::protocol
