// POST /v1/messages both ways: bodies in, messages and event streams out.
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
const AnswerHead head{"msg_1", 1700000000, "deepseek-flash"};

base::Result<Request> decode(const std::string& rest) {
  return decode_messages("{\"model\":\"m\",\"max_tokens\":100," + rest + "}", {limits});
}

constexpr std::string_view tool_loop = R"("system":[{"type":"text","text":"be brief",
    "cache_control":{"type":"ephemeral"}}],
  "messages":[
   {"role":"user","content":[{"type":"text","text":"weather?"},
     {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
     {"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]},
   {"role":"assistant","content":[
     {"type":"thinking","thinking":"look it up","signature":"c2ln"},
     {"type":"redacted_thinking","data":"cmVk"},
     {"type":"text","text":"I look."},
     {"type":"tool_use","id":"t1","name":"weather","input":{"city":"Hamburg"}},
     {"type":"tool_use","id":"t2","name":"time","input":{}}]},
   {"role":"user","content":[
     {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"rain"}]},
     {"type":"tool_result","tool_use_id":"t2","content":"no clock","is_error":true},
     {"type":"text","text":"and now?"}]}],
  "tools":[{"name":"weather","description":"of a city","input_schema":{"type":"object",
     "properties":{"city":{"type":"string"}}}},
    {"type":"custom","name":"time","input_schema":{"type":"object"}}],
  "tool_choice":{"type":"any","disable_parallel_tool_use":true},
  "thinking":{"type":"enabled","budget_tokens":2048},"stop_sequences":["END"],
  "temperature":0.5,"top_p":0.9,"top_k":40,"metadata":{"user_id":"ann"},"stream":true)";

TEST(AnthropicRequest, reads_every_field) {
  const auto request = decode(std::string(tool_loop));
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 6U);
  EXPECT_EQ(request->messages[0].role, Role::system);
  EXPECT_EQ(request->messages[1].content.size(), 3U);
  EXPECT_EQ(std::get<ImagePart>(request->messages[1].content[1]).url, "data:image/png;base64,AAAA");
  const Message& assistant = request->messages[2];
  EXPECT_EQ(assistant.reasoning_content, "look it up");
  EXPECT_EQ(assistant.reasoning_signature, "c2ln");
  EXPECT_EQ(assistant.redacted_reasoning, std::vector<std::string>{"cmVk"});
  ASSERT_EQ(assistant.tool_calls.size(), 2U);
  EXPECT_EQ(assistant.tool_calls[0].arguments, R"({"city":"Hamburg"})");
  EXPECT_FALSE(assistant.prefix);
  EXPECT_EQ(request->messages[3].role, Role::tool);
  EXPECT_EQ(request->messages[3].tool_call_id, "t1");
  EXPECT_TRUE(request->messages[4].tool_failed);
  EXPECT_EQ(request->messages[5].text(), "and now?");
  EXPECT_EQ(request->tool_choice.kind, ToolChoice::Kind::required);
  EXPECT_FALSE(request->parallel_tool_calls);
  EXPECT_EQ(request->thinking, true);
  EXPECT_EQ(request->thinking_tokens, 2048);
  EXPECT_EQ(request->stop, std::vector<std::string>{"END"});
  EXPECT_EQ(request->user_id, "ann");
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->uses(Feature::images) && request->uses(Feature::tools));
  testing::expect_golden(golden("messages_as_openai.json"), openai_body(*request) + "\n");
}

TEST(AnthropicRequest, the_answer_goes_on_behind_a_last_message_of_the_assistant) {
  const auto request =
      decode(R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"The"}])");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->messages.back().prefix);
}

TEST(AnthropicRequest, a_schema_and_effort) {
  const auto request = decode(R"("messages":[{"role":"user","content":"a"}],
    "output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->constraint.kind, Constraint::Kind::json_schema);
  EXPECT_EQ(request->constraint.param, "output_config.format.schema");
  EXPECT_EQ(request->reasoning_effort, "low");
}

TEST(AnthropicRequest, refusals_name_the_path) {
  const std::string hello = R"("messages":[{"role":"user","content":"a"}])";
  const std::pair<std::string, std::string> cases[] = {
      {R"("messages":[])", "messages"},
      {R"("messages":[{"role":"robot","content":"a"}])", "messages[0].role"},
      {R"("messages":[{"role":"user"}])", "messages[0].content"},
      {R"("messages":[{"role":"user","content":[{"type":"document"}]}])",
       "messages[0].content[0].type"},
      {R"("messages":[{"role":"user","content":[{"type":"tool_use"}]}])",
       "messages[0].content[0].type"},
      {R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"file"}}]}])",
       "messages[0].content[0].source.type"},
      {R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"url",
          "url":"http://a"}}]}])",
       "messages[0].content[0].source.url"},
      {R"("messages":[{"role":"user","content":[{"type":"tool_result","content":"a"}]}])",
       "messages[0].content[0].tool_use_id"},
      {hello + R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])", "tools[0].type"},
      {hello + R"(,"tools":[{"name":"f"}])", "tools[0].input_schema"},
      {hello + R"(,"tool_choice":{"type":"any"})", "tool_choice"},
      {hello + R"(,"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool",
          "name":"g"})",
       "tool_choice.name"},
      {hello + R"(,"temperature":1.5)", "temperature"},
      {hello + R"(,"thinking":{"type":"maybe"})", "thinking.type"},
      {hello + R"(,"mcp_servers":[{"url":"https://a"}])", "mcp_servers"},
  };
  for (const auto& [body, param] : cases) {
    const auto request = decode(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().param, param) << body << request.error().message;
    EXPECT_EQ(base::describe(request.error().code).http_status, 400);
  }
  const auto endless = decode_messages("{" + hello + "}", {limits});
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().param, "max_tokens");
  EXPECT_TRUE(decode_count_tokens("{" + hello + "}", {limits}));
}

std::vector<Event> events_of_a_tool_call() {
  Delta thinking{0, "", "look", {}, {}};
  Delta more{0, "", " up", {}, {}};
  Delta text{0, "I \"look\"\n", "", {}, {}};
  Finished end{0, FinishReason::tool_calls, {20, 9, 8, 3}, {}};
  return {Started{0, 20, 8},
          thinking,
          more,
          text,
          ToolCallDelta{0, 0, "call_1", "weather", ""},
          ToolCallDelta{0, 0, "", "", "{\"city\":"},
          ToolCallDelta{0, 0, "", "", "\"Hamburg\"}"},
          ToolCallDelta{0, 1, "call_2", "time", ""},
          end};
}

std::string stream_of(const std::vector<Event>& events) {
  Request request;
  const auto encoder = make_messages_stream(head, request);
  std::vector<std::string> frames;
  for (const Event& event : events) encoder->on_event(event, frames);
  encoder->finish(frames);
  std::string out;
  for (const std::string& frame : frames) {
    const std::size_t data = frame.find("data: ");
    EXPECT_TRUE(parse_json_object(std::string_view(frame).substr(data + 6), {})) << frame;
    out += frame;
  }
  return out;
}

TEST(AnthropicStream, thinking_text_and_tools) {
  testing::expect_golden(golden("messages_stream_tools.txt"), stream_of(events_of_a_tool_call()));
}

TEST(AnthropicStream, a_signature_and_hidden_reasoning_pass) {
  Delta thinking{0, "", "hm", {}, {}};
  Delta signature{};
  signature.reasoning_signature = "c2ln";
  Delta redacted{};
  redacted.redacted_reasoning = "cmVk";
  Finished end{0, FinishReason::stop, {5, 2, 0, 1}, {}};
  end.stop_sequence = "END";
  testing::expect_golden(
      golden("messages_stream_signature.txt"),
      stream_of({thinking, signature, redacted, Delta{0, "a", "", {}, {}}, end}));
}

TEST(AnthropicStream, an_answer_of_nothing_has_begin_and_end) {
  testing::expect_golden(golden("messages_stream_empty.txt"), stream_of({Finished{}}));
}

TEST(AnthropicStream, a_failure_is_an_error_event) {
  Request request;
  request.id = "req_1";
  const auto encoder = make_messages_stream(head, request);
  std::vector<std::string> frames;
  encoder->fail(base::make_error(base::ErrorCode::unavailable, "busy"), frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0],
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
            "\"message\":\"busy\"},\"request_id\":\"req_1\"}\n\n");
}

TEST(AnthropicAnswer, is_one_message) {
  Answer answer{Request{}};
  for (Event& event : events_of_a_tool_call()) answer.add(std::move(event));
  testing::expect_golden(golden("messages_whole_tools.json"), messages_body(head, answer) + "\n");
}

TEST(AnthropicAnswer, broken_arguments_are_still_an_object) {
  Answer answer{Request{}};
  answer.add(ToolCallDelta{0, 0, "c", "f", "{\"city\": \"Ham"});
  answer.add(Finished{0, FinishReason::stop, {}, {}});
  const std::string body = messages_body(head, answer);
  ASSERT_TRUE(parse_json_object(body, {})) << body;
  EXPECT_NE(body.find(R"("input":{"arguments":"{\"city\": \"Ham"})"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("stop_reason":"tool_use")"), std::string::npos) << body;
}

TEST(AnthropicAnswer, says_why_it_stopped) {
  const std::pair<FinishReason, std::string_view> cases[] = {
      {FinishReason::stop, "end_turn"},
      {FinishReason::length, "max_tokens"},
      {FinishReason::content_filter, "refusal"}};
  for (const auto& [reason, word] : cases) {
    Answer answer{Request{}};
    answer.add(Finished{0, reason, {}, {}});
    EXPECT_NE(messages_body(head, answer).find("\"stop_reason\":\"" + std::string(word) + "\""),
              std::string::npos);
  }
}

}  // namespace
}  // namespace deepseek::protocol
