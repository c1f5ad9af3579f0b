// OpenAI's `functions` and `function_call`, the form before tools, both ways.
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"
#include "protocol/golden_text.hpp"
#include "protocol/json.hpp"
#include "protocol/local_support.hpp"
#include "protocol/openai_body.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;
const AnswerHead head{"chatcmpl-1", 1700000000, "deepseek-flash", "fp_1"};

std::string golden(const std::string& name) {
  return DEEPSEEK_SOURCE_DIR "/tests/golden/" + name;
}

base::Result<Request> chat(const std::string& rest) {
  return decode_chat(
      R"({"model":"m","messages":[{"role":"user","content":"weather?"}],)" + rest + "}", {limits});
}

constexpr std::string_view weather =
    R"("functions":[{"name":"weather","description":"now","parameters":{"type":"object"}}])";

TEST(OldFunctions, become_tools_and_their_messages_calls_and_results) {
  const auto request = decode_chat(R"({"model":"m","messages":[
      {"role":"user","content":"weather?"},
      {"role":"assistant","content":null,
        "function_call":{"name":"weather","arguments":"{\"city\":\"Hamburg\"}"}},
      {"role":"function","name":"weather","content":"rain"},
      {"role":"assistant","content":null,"function_call":{"name":"weather","arguments":"{}"}},
      {"role":"function","name":"weather","content":"sun"}],
    "functions":[{"name":"weather","description":"now","parameters":{"type":"object"}}],
    "function_call":{"name":"weather"}})",
                                   {limits});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_TRUE(wants_old_functions(*request));
  EXPECT_TRUE(check_local_support(*request));
  testing::expect_golden(golden("old_functions_as_openai.json"), openai_body(*request) + "\n");
}

TEST(OldFunctions, choose_as_tools_do) {
  using Kind = ToolChoice::Kind;
  const std::string functions(weather);
  EXPECT_EQ(chat(functions)->tool_choice.kind, Kind::automatic);
  EXPECT_EQ(chat(functions + R"(,"function_call":"auto")")->tool_choice.kind, Kind::automatic);
  EXPECT_EQ(chat(functions + R"(,"function_call":"none")")->tool_choice.kind, Kind::none);
  EXPECT_EQ(chat(functions + R"(,"function_call":{"name":"weather"})")->tool_choice.name,
            "weather");
  EXPECT_FALSE(chat(functions)->parallel_tool_calls);
  // They choose among nothing.
  EXPECT_TRUE(chat(R"("function_call":"none")")->features.empty());
  EXPECT_TRUE(chat(R"("functions":[],"function_call":"auto")")->features.empty());
}

TEST(OldFunctions, a_history_in_the_old_form_goes_with_tools_too) {
  const auto request = decode_chat(R"({"messages":[{"role":"user","content":"weather?"},
      {"role":"assistant","content":null,"function_call":{"name":"weather","arguments":"{}"}},
      {"role":"function","name":"weather","content":"rain"}],
    "tools":[{"type":"function","function":{"name":"weather"}}]})",
                                   {limits});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_FALSE(wants_old_functions(*request));
  EXPECT_EQ(request->messages[1].tool_calls[0].id, request->messages[2].tool_call_id);
}

TEST(OldFunctions, belong_to_messages_of_the_assistant) {
  const auto refused = decode_chat(
      R"({"messages":[{"role":"user","content":"a","function_call":{"name":"f","arguments":""}}]})",
      {limits});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "messages[0].function_call");
  const auto nameless = decode_chat(
      R"({"messages":[{"role":"assistant","function_call":{"arguments":"{}"}}]})", {limits});
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().param, "messages[0].function_call.name");
}

std::vector<Event> events_of_a_call() {
  return {Started{0, 20, 8},
          Delta{0, "", "look up", {}, {}},
          ToolCallDelta{0, 0, "call_1", "weather", ""},
          ToolCallDelta{0, 0, "", "", "{\"city\":"},
          ToolCallDelta{0, 0, "", "", "\"Hamburg\"}"},
          ToolCallDelta{0, 1, "call_2", "time", "{}"},  // the old form has no room for it
          Finished{0, FinishReason::tool_calls, {20, 9, 8, 3}, {}}};
}

TEST(OldFunctions, are_answered_in_the_old_form) {
  const auto request = chat(std::string(weather));
  ASSERT_TRUE(request) << request.error().message;
  Answer answer(*request);
  for (Event& event : events_of_a_call()) answer.add(std::move(event));
  const std::string body = chat_body(head, answer);
  ASSERT_TRUE(parse_json_object(body, {})) << body;
  testing::expect_golden(golden("old_functions_whole.json"), body + "\n");
}

TEST(OldFunctions, are_streamed_in_the_old_form) {
  const auto request = chat(std::string(weather) + R"(,"stream":true)");
  ASSERT_TRUE(request) << request.error().message;
  const auto encoder = make_chat_stream(head, *request);
  std::vector<std::string> frames;
  for (const Event& event : events_of_a_call()) encoder->on_event(event, frames);
  encoder->finish(frames);
  std::string out;
  for (const std::string& frame : frames) out += frame;
  testing::expect_golden(golden("old_functions_stream.txt"), out);
}

}  // namespace
}  // namespace deepseek::protocol
