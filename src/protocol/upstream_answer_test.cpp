#include "protocol/upstream_answer.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

TEST(UpstreamAnswer, reads_a_chat) {
  const std::string_view body = R"(

    {"id":"c","object":"chat.completion","created":17,"model":"m","choices":[{"index":0,
     "message":{"role":"assistant","content":"Hel\nlo","reasoning_content":"hm",
      "tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},
     "logprobs":null,"finish_reason":"tool_calls"}],
     "usage":{"prompt_tokens":5,"completion_tokens":2}})";
  const auto answer = parse_upstream_answer(body);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->chunk.usage, (Usage{5, 2, 0, 0}));
  std::vector<Event> events;
  to_events(*answer, 1, {5, 2, 0, 0}, events);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(std::get<Delta>(events[1]).content, "Hel\nlo");
  EXPECT_EQ(std::get<Delta>(events[1]).reasoning, "hm");
  EXPECT_EQ(std::get<ToolCallDelta>(events[2]).name, "f");
  EXPECT_EQ(std::get<Finished>(events[3]).reason, FinishReason::tool_calls);
}

TEST(UpstreamAnswer, reads_completions_of_several_choices) {
  const auto answer = parse_upstream_answer(
      R"({"object":"text_completion","choices":[{"index":1,"text":"b","finish_reason":"length"},
          {"index":0,"text":"a","finish_reason":"stop"}]})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->chunk.usage, std::nullopt);
  std::vector<Event> events;
  to_events(*answer, 2, {}, events);
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(std::get<Finished>(events[4]).reason, FinishReason::stop);
  EXPECT_EQ(std::get<Finished>(events[5]).reason, FinishReason::length);
}

TEST(UpstreamAnswer, refuses_what_is_none) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "no JSON object"},
      {"<html>busy</html>", "no JSON object"},
      {"[]", "no JSON object"},
      {R"({"choices":[{"text":"a"}]} trailing)", "no JSON object"},
      {"{\"choices\":[{\"text\":\"\xFF\"}]}", "no JSON object"},
      {"{}", "without choices"},
      {R"({"choices":[]})", "without choices"},
      {R"({"choices":[5]})", "without choices"},
      {R"({"error":{"message":"busy with sk-secret-secret"}})", "busy with sk-***"},
      {R"({"choices":[{"text":"a","finish_reason":"insufficient_system_resource"}]})",
       "broke its answer off: insufficient_system_resource"},
  };
  for (const auto& [body, words] : cases) {
    const auto answer = parse_upstream_answer(body);
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().code, base::ErrorCode::upstream_failed);
    EXPECT_NE(answer.error().message.find(words), std::string::npos) << answer.error().message;
  }
}

}  // namespace
}  // namespace deepseek::protocol
