#include "protocol/upstream_events.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

void add(UpstreamEvents& maker, std::string_view json, std::vector<Event>& events) {
  UpstreamChunk chunk;
  ASSERT_TRUE(read_upstream_chunk(json, chunk)) << json;
  maker.add(chunk, events);
}

TEST(UpstreamEvents, makes_a_neutral_answer) {
  UpstreamEvents maker(2);
  std::vector<Event> events;
  add(maker, R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})", events);
  add(maker, R"({"choices":[{"index":0,"delta":{"reasoning_content":"h\u006d"}}]})", events);
  add(maker, R"({"choices":[{"index":0,"delta":{"content":"a"}},
                            {"index":1,"delta":{"content":"b"},"finish_reason":"length"},
                            {"index":2,"delta":{"content":"beyond"}}]})",
      events);
  EXPECT_FALSE(maker.finished());
  add(maker, R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})", events);
  EXPECT_TRUE(maker.finished());
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(std::get<Started>(events[0]).sequence, 0);
  EXPECT_EQ(std::get<Delta>(events[1]).reasoning, "hm");
  EXPECT_EQ(std::get<Delta>(events[2]).content, "a");
  EXPECT_EQ(std::get<Started>(events[3]).sequence, 1);
  EXPECT_EQ(std::get<Delta>(events[4]).content, "b");
  events.clear();
  maker.finish({5, 2, 1, 1}, events);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(std::get<Finished>(events[0]).reason, FinishReason::stop);
  EXPECT_EQ(std::get<Finished>(events[0]).usage, (Usage{5, 2, 1, 1}));
  EXPECT_EQ(std::get<Finished>(events[1]).reason, FinishReason::length);
  EXPECT_EQ(std::get<Finished>(events[1]).usage, Usage());
}

TEST(UpstreamEvents, a_choice_that_says_nothing_has_stopped) {
  UpstreamEvents maker(1);
  std::vector<Event> events;
  maker.finish({}, events);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<Finished>(events[0]).reason, FinishReason::stop);
}

TEST(UpstreamEvents, reads_tool_calls) {
  UpstreamEvents maker(1);
  std::vector<Event> events;
  add(maker,
      R"({"choices":[{"delta":{"tool_calls":[{"index":3,"id":"c","type":"function",
          "function":{"name":"f","arguments":"{\"a\""}},{"function":{"arguments":":1}"}},5,
          {"index":-1,"function":null}]}}]})",
      events);
  ASSERT_EQ(events.size(), 4U);
  const auto& first = std::get<ToolCallDelta>(events[1]);
  EXPECT_EQ(first.index, 3);
  EXPECT_EQ(first.id, "c");
  EXPECT_EQ(first.name, "f");
  EXPECT_EQ(first.arguments, "{\"a\"");
  const auto& second = std::get<ToolCallDelta>(events[2]);
  EXPECT_EQ(second.index, 1);
  EXPECT_EQ(second.arguments, ":1}");
  EXPECT_EQ(std::get<ToolCallDelta>(events[3]).index, 3);
}

TEST(UpstreamEvents, reads_logprobs) {
  UpstreamEvents maker(1);
  std::vector<Event> events;
  add(maker,
      R"({"choices":[{"delta":{"content":"é"},"logprobs":{"content":[{"token":"x","logprob":-0.5,
          "bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-1,"bytes":null}]},7]}}]})",
      events);
  ASSERT_EQ(events.size(), 2U);
  const auto& delta = std::get<Delta>(events[1]);
  ASSERT_EQ(delta.logprobs.size(), 1U);
  EXPECT_EQ(delta.logprobs[0].bytes, "é");
  EXPECT_EQ(delta.logprobs[0].logprob, -0.5);
  ASSERT_EQ(delta.logprobs[0].alternatives.size(), 1U);
  EXPECT_EQ(delta.logprobs[0].alternatives[0].logprob, -1);
}

TEST(UpstreamEvents, keeps_the_head_of_an_answer) {
  UpstreamChunk chunk;
  const std::string json = R"({"id":"c-1","created":17,"model":"m\u00e9","system_fingerprint":")" +
                           std::string(1000, 'f') + "\"}";
  ASSERT_TRUE(read_upstream_chunk(json, chunk));
  const AnswerHead head = read_answer_head(chunk);
  EXPECT_EQ(head.id, "c-1");
  EXPECT_EQ(head.created, 17);
  EXPECT_EQ(head.model, "mé");
  EXPECT_EQ(head.system_fingerprint.size(), 256U);
  EXPECT_FALSE(head.resumed);
}

}  // namespace
}  // namespace deepseek::protocol
