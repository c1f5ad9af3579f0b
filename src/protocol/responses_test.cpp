// POST /v1/responses both ways: items in, responses and event streams out.
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"
#include "protocol/golden_text.hpp"
#include "protocol/json.hpp"
#include "protocol/openai_body.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

std::string golden(const std::string& name) {
  return DEEPSEEK_SOURCE_DIR "/tests/golden/" + name;
}

const RequestLimits limits;
const AnswerHead head{"resp_1", 1700000000, "deepseek-flash"};

base::Result<Request> decode(const std::string& rest) {
  return decode_responses("{\"model\":\"m\"," + rest + "}", {limits});
}

TEST(ResponsesRequest, items_of_one_turn_become_one_message) {
  const auto request = decode(R"("instructions":"be brief","input":[
      {"role":"user","content":[{"type":"input_text","text":"weather?"},
        {"type":"input_image","image_url":"https://example.com/a.png","detail":"low"}]},
      {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text",
        "text":"look it up"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look."}]},
      {"type":"function_call","call_id":"c1","name":"weather","arguments":"{}"},
      {"type":"function_call","call_id":"c2","name":"time","arguments":"{}"},
      {"type":"function_call_output","call_id":"c1","output":"rain"},
      {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"5"}]},
      {"type":"message","role":"assistant","content":"Rain."}],
    "tools":[{"type":"function","name":"weather","parameters":{"type":"object"},"strict":true}],
    "tool_choice":{"type":"function","name":"weather"},"parallel_tool_calls":false,
    "text":{"format":{"type":"json_schema","name":"w","schema":{"type":"object"}}},
    "reasoning":{"effort":"low"},"max_output_tokens":50,"temperature":0.5,"user":"ann")");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 6U);
  EXPECT_EQ(request->messages[2].reasoning_content, "look it up");
  EXPECT_EQ(request->messages[2].text(), "I look.");
  EXPECT_EQ(request->messages[2].tool_calls.size(), 2U);
  testing::expect_golden(golden("responses_as_openai.json"), openai_body(*request) + "\n");
}

TEST(ResponsesRequest, refusals_name_the_path) {
  const std::string hello = R"("input":"a")";
  const std::pair<std::string, std::string> cases[] = {
      {R"("temperature":1)", "input"},
      {R"("input":5)", "input"},
      {R"("input":[{"type":"item_reference","id":"a"}])", "input[0].type"},
      {R"("input":[{"role":"robot","content":"a"}])", "input[0].role"},
      {R"("input":[{"role":"user","content":[{"type":"input_file"}]}])",
       "input[0].content[0].type"},
      {R"("input":[{"type":"function_call","name":"f","arguments":"{}"}])", "input[0].call_id"},
      {hello + R"(,"tools":[{"type":"web_search"}])", "tools[0].type"},
      {hello + R"(,"tool_choice":"required")", "tool_choice"},
      {hello + R"(,"previous_response_id":"resp_1")", "previous_response_id"},
      {hello + R"(,"background":true)", "background"},
      {hello + R"(,"truncation":"auto")", "truncation"},
      {hello + R"(,"text":{"format":{"type":"xml"}})", "text.format.type"},
      {hello + R"(,"reasoning":{"effort":"much"})", "reasoning.effort"},
      {hello + R"(,"temperature":3)", "temperature"},
      {hello + R"(,"max_output_tokens":0)", "max_output_tokens"},
  };
  for (const auto& [body, param] : cases) {
    const auto request = decode(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().param, param) << body << request.error().message;
    EXPECT_EQ(base::describe(request.error().code).http_status, 400);
  }
}

std::vector<Event> events_of_a_tool_call() {
  return {Started{0, 20, 8},
          Delta{0, "", "look", {}, {}},
          Delta{0, "", " up", {}, {}},
          Delta{0, "I \"look\"\n", "", {}, {}},
          ToolCallDelta{0, 0, "call_1", "weather", ""},
          ToolCallDelta{0, 0, "", "", "{\"city\":"},
          ToolCallDelta{0, 0, "", "", "\"Hamburg\"}"},
          ToolCallDelta{0, 1, "call_2", "time", "{}"},
          Finished{0, FinishReason::tool_calls, {20, 9, 8, 3}, {}}};
}

Request asked() {
  auto request = decode(R"("input":"a","metadata":{"k":"v"},"temperature":0.5)");
  return request ? std::move(*request) : Request();
}

std::string stream_of(const std::vector<Event>& events, const base::Error* failure = nullptr) {
  const auto encoder = make_responses_stream(head, asked());
  std::vector<std::string> frames;
  for (const Event& event : events) encoder->on_event(event, frames);
  if (failure == nullptr) {
    encoder->finish(frames);
  } else {
    encoder->fail(*failure, frames);
  }
  std::string out;
  for (const std::string& frame : frames) {
    const std::size_t data = frame.find("data: ");
    EXPECT_TRUE(parse_json_object(std::string_view(frame).substr(data + 6), {})) << frame;
    out += frame;
  }
  return out;
}

TEST(ResponsesStream, reasoning_text_and_calls) {
  testing::expect_golden(golden("responses_stream_tools.txt"), stream_of(events_of_a_tool_call()));
}

TEST(ResponsesStream, an_answer_without_room_is_incomplete) {
  testing::expect_golden(
      golden("responses_stream_incomplete.txt"),
      stream_of({Delta{0, "a", "", {}, {}}, Finished{0, FinishReason::length, {5, 1, 0, 0}, {}}}));
}

TEST(ResponsesStream, a_failure_is_a_failed_response) {
  const auto error = base::make_error(base::ErrorCode::upstream_failed, "it broke");
  testing::expect_golden(golden("responses_stream_failed.txt"),
                         stream_of({Delta{0, "a", "", {}, {}}}, &error));
}

TEST(ResponsesAnswer, is_one_response) {
  Answer answer{Request{}};
  for (Event& event : events_of_a_tool_call()) answer.add(std::move(event));
  const std::string body = responses_body(head, asked(), answer).text;
  ASSERT_TRUE(parse_json_object(body, {})) << body;
  testing::expect_golden(golden("responses_whole_tools.json"), body + "\n");
}

}  // namespace
}  // namespace deepseek::protocol
