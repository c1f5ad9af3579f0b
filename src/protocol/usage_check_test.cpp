#include "protocol/usage_check.hpp"

#include "protocol/decode.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;

Request read_chat(std::string body) {
  auto request = decode_chat(body, {limits});
  EXPECT_TRUE(request) << body;
  request->raw_body = std::move(body);
  return std::move(*request);
}

Request simple(std::string_view fields = "") {
  return read_chat(R"({"messages":[{"role":"user","content":"0123456789"}])" + std::string(fields) +
                   "}");
}

DeliveredAnswer delivered(std::string_view text) {
  DeliveredAnswer answer;
  answer.text.add(text);
  return answer;
}

TEST(TokenEstimate, follows_deepseeks_rule_of_thumb) {
  EXPECT_EQ(estimate_tokens(""), 0);
  EXPECT_EQ(estimate_tokens("0123456789"), 3);
  EXPECT_EQ(estimate_tokens("一二三四五"), 3);
  EXPECT_EQ(estimate_tokens("a"), 1);
  TokenEstimate pieces;
  for (int i = 0; i < 10; ++i) pieces.add(std::string_view("a"));
  EXPECT_EQ(pieces.tokens(), 3);
  EXPECT_EQ(pieces.bytes(), 10U);
  TokenEstimate escaped;
  escaped.add(JsonText{R"(a\n\u4e00\u4e8c)", true});
  EXPECT_EQ(escaped.tokens(), 2);
  EXPECT_EQ(escaped.bytes(), 8U);
}

TEST(TokenEstimate, counts_all_parts_of_a_prompt) {
  EXPECT_EQ(estimate_prompt_tokens(simple()), 4 + 3);
  const std::int64_t tools =
      estimate_prompt_tokens(simple(R"(,"tools":[{"type":"function","function":{"name":"f"}}])"));
  EXPECT_GT(tools, 4 + 3 + 10);
  const Request image = read_chat(
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":"data:x"}]}]})");
  EXPECT_EQ(estimate_prompt_tokens(image), 4 + 1024);
  const auto ids = decode_completions(R"({"prompt":[1,2,3]})", {limits});
  EXPECT_EQ(estimate_prompt_tokens(*ids), 3);
}

TEST(DeliveredAnswer, counts_text_alone) {
  DeliveredAnswer answer;
  UpstreamChunk chunk;
  ASSERT_TRUE(read_upstream_chunk(
      R"({"choices":[{"delta":{"content":"01\n","reasoning_content":"345"}},{"delta":{"tool_calls":[
          {"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\"","x":[1]}},
          7,{}]}}]})",
      chunk));
  answer.add(chunk);
  EXPECT_EQ(answer.text.bytes(), 3U + 3U + 1U + 4U);
  EXPECT_TRUE(answer.reasoning);
  EXPECT_FALSE(answer.other);
  DeliveredAnswer events;
  events.add(Delta{0, "01\n", "345", {}, {}});
  events.add(ToolCallDelta{0, 0, "call_1", "f", "{\"a\""});
  EXPECT_EQ(events.text.bytes(), answer.text.bytes());
  EXPECT_EQ(events.text.tokens(), answer.text.tokens());
  EXPECT_TRUE(events.reasoning);
  UpstreamChunk refusal;
  ASSERT_TRUE(read_upstream_chunk(R"({"choices":[{"delta":{"refusal":"no"}}]})", refusal));
  answer.add(refusal);
  EXPECT_TRUE(answer.other);
}

TEST(UsageCheck, believes_what_can_be_true) {
  const Usage usage{12, 3, 8, 1};
  const CheckedUsage checked = check_usage(usage, simple(), delivered("Hello world"));
  EXPECT_EQ(checked.usage, usage);
  EXPECT_FALSE(checked.prompt_estimated);
  EXPECT_FALSE(checked.completion_estimated);
  // Reasoning that the client does not see.
  const Usage hidden{12, 5003, 0, 5000};
  EXPECT_EQ(check_usage(hidden, simple(), delivered("Hello world")).usage, hidden);
  // An empty answer.
  EXPECT_EQ(check_usage(Usage{12, 0, 0, 0}, simple(), {}).usage, (Usage{12, 0, 0, 0}));
}

TEST(UsageCheck, estimates_what_is_missing_or_cannot_be) {
  const std::optional<Usage> cases[] = {
      std::nullopt,
      Usage{-1, -1, 0, 0},
      Usage{0, 0, 0, 0},
      Usage{-5, -5, -5, -5},
      Usage{1 << 30, 1 << 30, 0, 0},
      Usage{INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
      Usage{INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN},
      Usage{1 << 30, 4000, 0, 0},  // more tokens than the text has bytes
  };
  for (const auto& reported : cases) {
    const CheckedUsage checked = check_usage(reported, simple(), delivered("0123456789"));
    EXPECT_EQ(checked.usage, (Usage{4 + 3, 3, 0, 0}));
    EXPECT_TRUE(checked.prompt_estimated);
    EXPECT_TRUE(checked.completion_estimated);
  }
}

TEST(UsageCheck, judges_each_count_by_itself) {
  const CheckedUsage prompt = check_usage(Usage{-1, 3, 5, 0}, simple(), delivered("0123456789"));
  EXPECT_EQ(prompt.usage, (Usage{4 + 3, 3, 0, 0}));
  EXPECT_FALSE(prompt.completion_estimated);
  const CheckedUsage completion =
      check_usage(Usage{12, -1, 5, 0}, simple(), delivered("0123456789"));
  EXPECT_EQ(completion.usage, (Usage{12, 3, 5, 0}));
  EXPECT_FALSE(completion.prompt_estimated);
}

TEST(UsageCheck, a_part_is_never_more_than_the_whole) {
  EXPECT_EQ(check_usage(Usage{12, 3, 99, 99}, simple(), delivered("0123456789")).usage,
            (Usage{12, 3, 12, 3}));
  EXPECT_EQ(check_usage(Usage{12, 3, -9, -9}, simple(), delivered("0123456789")).usage,
            (Usage{12, 3, 0, 0}));
}

TEST(UsageCheck, holds_an_upstream_to_max_tokens) {
  const Request request = simple(R"(,"max_tokens":100)");
  const Usage lie{12, 100000, 0, 99999};
  const CheckedUsage checked = check_usage(lie, request, delivered("0123456789"));
  EXPECT_TRUE(checked.completion_estimated);
  EXPECT_EQ(checked.usage.completion_tokens, 3);
  // Two answers may take twice as many.
  const Request two = simple(R"(,"max_tokens":100,"n":2)");
  const Usage both{12, 200, 0, 0};
  EXPECT_EQ(check_usage(both, two, delivered(std::string(600, 'x'))).usage, both);
  // Reasoning that was delivered hides nothing.
  DeliveredAnswer answer = delivered("0123456789");
  answer.reasoning = true;
  EXPECT_TRUE(check_usage(Usage{12, 5000, 0, 4990}, simple(), answer).completion_estimated);
  // Bytes of text say nothing about audio.
  answer.other = true;
  EXPECT_FALSE(check_usage(Usage{12, 5000, 0, 0}, simple(), answer).completion_estimated);
}

// The rule for broken streams.
TEST(UsageOfBroken, bills_what_was_delivered) {
  const CheckedUsage counted = usage_of_broken({}, simple(), delivered("0123456789"), true);
  EXPECT_EQ(counted.usage, (Usage{4 + 3, 3, 0, 0}));
  EXPECT_TRUE(counted.prompt_estimated);
  EXPECT_TRUE(counted.completion_estimated);
  // It had begun, but no text came: the prompt was read all the same.
  EXPECT_EQ(usage_of_broken({}, simple(), {}, true).usage, (Usage{4 + 3, 0, 0, 0}));
  // The upstream's own count, if it came before the end and can be true.
  EXPECT_EQ(usage_of_broken(Usage{9, 4, 0, 0}, simple(), delivered("0123456789"), true).usage,
            (Usage{9, 4, 0, 0}));
}

TEST(UsageOfBroken, bills_nothing_before_the_first_byte) {
  const CheckedUsage nothing = usage_of_broken(Usage{9, 4, 0, 0}, simple(), {}, false);
  EXPECT_EQ(nothing.usage, Usage());
}

TEST(UsageCheck, AnEmbeddingCountsWhatCanBeTrue) {
  EmbeddingRequest request;
  request.inputs = {std::string("0123456789"), TokenIds{1, 2}};
  EXPECT_EQ(check_embedding_tokens(6, request), 6);
  for (const std::int64_t absurd : {0, -5, 1'000'000}) {
    EXPECT_EQ(check_embedding_tokens(absurd, request), 3 + 2) << absurd;
  }
}

}  // namespace
}  // namespace deepseek::protocol
