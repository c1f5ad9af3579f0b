#include "protocol/openai_body.hpp"

#include "protocol/decode.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;

TEST(OpenAiBody, a_question_becomes_a_chat) {
  const auto request = decode_infer(
      R"({"model":"m","query":"你好\n","system":"short","max_tokens":9,"stream":true,"seed":-5,
          "thinking":{"type":"disabled"},"stop":["a","b"],"temperature":0.5,"user_id":"u"})",
      {limits});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(openai_body(*request),
            R"({"model":"m","messages":[{"role":"system","content":"short"},)"
            R"({"role":"user","content":"你好\n"}],"temperature":0.5,"seed":-5,"max_tokens":9,)"
            R"("stop":["a","b"],"stream":true,"user_id":"u","thinking":{"type":"disabled"}})");
}

TEST(OpenAiBody, a_raw_prompt_becomes_a_completion) {
  const auto request = decode_generate(R"({"prompt":"42","echo":true})", {}, {limits});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(openai_body(*request), R"({"prompt":"42","echo":true,"max_tokens":256})");
}

// What it writes reads back as the same request.
TEST(OpenAiBody, every_field_survives) {
  const std::string_view bodies[] = {
      R"({"model":"m","messages":[
          {"role":"user","name":"ann","content":[{"type":"text","text":"a"},
           {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}}]},
          {"role":"assistant","content":null,"reasoning_content":"r",
           "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"c","content":"42"},
          {"role":"assistant","content":"The","prefix":true}],
          "stream":true,"stream_options":{"include_usage":true},"max_tokens":7,"temperature":0.25,
          "top_p":0.5,"top_k":40,"min_p":0.125,"presence_penalty":-2,"frequency_penalty":2,
          "repetition_penalty":1.5,"stop":"x","seed":18446744073709551615,"ignore_eos":true,"n":2,
          "logprobs":true,"top_logprobs":3,"logit_bias":{"15":-100,"16":1.5},"user":"u",
          "reasoning_effort":"high"})",
      R"({"messages":[{"role":"assistant","content":"","prefix":true}],"logprobs":true})"};
  for (const std::string_view body : bodies) {
    const auto first = decode_chat(body, {limits});
    ASSERT_TRUE(first) << first.error().message;
    const std::string text = openai_body(*first);
    const auto second = decode_chat(text, {limits});
    ASSERT_TRUE(second) << second.error().message << text;
    EXPECT_EQ(openai_body(*second), text);
    EXPECT_EQ(second->messages.size(), first->messages.size());
    EXPECT_EQ(second->sampling.seed, first->sampling.seed);
    EXPECT_EQ(second->sampling.logit_bias, first->sampling.logit_bias);
    EXPECT_EQ(second->logprobs, first->logprobs);
    EXPECT_EQ(second->features.size(), first->features.size());
    EXPECT_EQ(second->unknown_fields, std::vector<std::string>());
  }
}

TEST(OpenAiBody, prompts_in_all_forms) {
  for (const std::string_view prompt : {R"("a")", R"(["a","b"])", "[1,2]", "[[1],[2,3]]"}) {
    const std::string fields = "\"prompt\":" + std::string(prompt) + ",\"max_tokens\":5}";
    const auto request = decode_completions("{" + fields, {limits});
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(openai_body(*request), "{" + fields);
  }
}

}  // namespace
}  // namespace deepseek::protocol
