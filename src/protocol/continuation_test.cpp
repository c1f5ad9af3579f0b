#include "protocol/continuation.hpp"

#include "protocol/decode.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;
const std::string question = R"({"role":"user","content":"x"})";

Request read_chat(std::string body) {
  auto request = decode_chat(body, {limits});
  EXPECT_TRUE(request) << body;
  request->raw_body = std::move(body);
  return std::move(*request);
}

Request read_completion(std::string body) {
  auto request = decode_completions(body, {limits});
  EXPECT_TRUE(request) << body;
  request->raw_body = std::move(body);
  return std::move(*request);
}

AnswerSoFar text(std::string content, std::string reasoning = {}, std::int64_t tokens = 0) {
  AnswerSoFar so_far;
  so_far.content = std::move(content);
  so_far.reasoning = std::move(reasoning);
  so_far.tokens = tokens;
  return so_far;
}

ContinuationBody continued(const Request& request, const AnswerSoFar& so_far, Continuation kind) {
  const BodyOutline outline = outline_body(request.raw_body);
  UpstreamForm form;
  form.model = "m";
  form.continuation = kind;
  return continuation_body(request, outline, form, so_far);
}

UpstreamChunk chunk(std::string_view json) {
  UpstreamChunk read;
  EXPECT_TRUE(read_upstream_chunk(json, read)) << json;
  return read;
}

TEST(AnswerSoFar, gathers_frames) {
  AnswerSoFar so_far;
  so_far.add(chunk(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"), 100);
  EXPECT_TRUE(so_far.empty());
  EXPECT_EQ(so_far.tokens, 0);
  so_far.add(chunk(R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})"), 100);
  so_far.add(chunk(R"({"choices":[{"delta":{"content":"\u4e00"}}]})"), 100);
  so_far.add(chunk(R"({"choices":[{"delta":{"content":" b"}}]})"), 100);
  EXPECT_EQ(so_far.content, "一 b");
  EXPECT_EQ(so_far.reasoning, "hm");
  EXPECT_EQ(so_far.tokens, 3);
  EXPECT_FALSE(so_far.tool_call || so_far.other || so_far.cut || so_far.finish_reason);
  so_far.add(chunk(R"({"choices":[{"delta":{"tool_calls":[{}],"refusal":"no"},
                     "finish_reason":"content_filter"}]})"),
             100);
  EXPECT_TRUE(so_far.tool_call && so_far.other);
  EXPECT_EQ(so_far.finish_reason, FinishReason::content_filter);
}

TEST(AnswerSoFar, counts_long_pieces_by_their_text) {
  AnswerSoFar so_far;
  so_far.add(chunk("{\"choices\":[{\"text\":\"" + std::string(100, 'a') + "\"}]}"), 1000);
  EXPECT_EQ(so_far.tokens, 30);
}

TEST(AnswerSoFar, gathers_events) {
  AnswerSoFar so_far;
  so_far.add(Started(), 100);
  so_far.add(Delta{0, "a", "r", {1, 2, 3}, {}}, 100);
  so_far.add(Delta{0, "b", "", {}, {}}, 100);
  so_far.add(Delta{1, "other choice", "", {}, {}}, 100);
  EXPECT_EQ(so_far.content, "ab");
  EXPECT_EQ(so_far.tokens, 4);
  so_far.add(ToolCallDelta(), 100);
  EXPECT_TRUE(so_far.tool_call);
  so_far.add(Finished(), 100);
  EXPECT_EQ(so_far.finish_reason, FinishReason::stop);
}

TEST(AnswerSoFar, keeps_no_more_than_it_may) {
  AnswerSoFar so_far;
  const std::string text(60, 'a');
  so_far.add(Delta{0, text, "", {}, {}}, 100);
  EXPECT_FALSE(so_far.cut);
  so_far.add(Delta{0, "", text, {}, {}}, 100);
  EXPECT_TRUE(so_far.cut);
  EXPECT_TRUE(so_far.empty());
  so_far.add(Delta{0, "b", "", {}, {}}, 100);
  EXPECT_TRUE(so_far.empty());
}

TEST(Continuation, hands_over_the_text_so_far) {
  const Request request = read_chat("{\"model\":\"m\",\"messages\":[" + question + " ] }");
  const std::string start = "{\"model\":\"m\",\"messages\":[" + question;
  EXPECT_EQ(continued(request, text("a\"b\n"), Continuation::prefix).text,
            start + R"(,{"role":"assistant","content":"a\"b\n","prefix":true}]})");
  EXPECT_EQ(continued(request, text("ab"), Continuation::continue_final_message).text,
            start + R"(,{"role":"assistant","content":"ab"}],)"
                    R"("continue_final_message":true,"add_generation_prompt":false})");
  EXPECT_EQ(continued(request, text("ab"), Continuation::assistant_last).text,
            start + R"(,{"role":"assistant","content":"ab"}]})");
}

TEST(Continuation, hands_over_reasoning) {
  const Request request = read_chat("{\"model\":\"m\",\"messages\":[" + question + "]}");
  const std::string start = "{\"model\":\"m\",\"messages\":[" + question;
  EXPECT_EQ(
      continued(request, text("", "hm"), Continuation::prefix).text,
      start + R"(,{"role":"assistant","content":"","reasoning_content":"hm","prefix":true}]})");
  EXPECT_EQ(continued(request, text("a", "hm"), Continuation::assistant_last).text,
            start + R"(,{"role":"assistant","content":"a","reasoning_content":"hm"}],)"
                    R"("chat_template_kwargs":{"thinking":false,"enable_thinking":false}})");
}

TEST(Continuation, joins_a_prefix_of_the_client) {
  const Request request =
      read_chat("{\"model\":\"m\",\"messages\":[" + question +
                R"(,{"role":"assistant","name":"z","content":[{"type":"text","text":"The"}],)"
                R"("prefix":true}]})");
  const std::string start = "{\"model\":\"m\",\"messages\":[" + question;
  EXPECT_EQ(continued(request, text(" end"), Continuation::prefix).text,
            start + R"(,{"role":"assistant","name":"z","content":"The end","prefix":true}]})");
  EXPECT_EQ(continued(request, text(" end"), Continuation::assistant_last).text,
            start + R"(,{"role":"assistant","name":"z","content":"The end"}]})");
  const Request vllm =
      read_chat("{\"model\":\"m\",\"messages\":[" + question +
                R"(,{"role":"assistant","content":"The"}],"continue_final_message":true})");
  EXPECT_EQ(continued(vllm, text(" end"), Continuation::prefix).text,
            start + R"(,{"role":"assistant","content":"The end","prefix":true}]})");
  // An assistant's message that the client did not ask to continue is one of the past.
  const Request past = read_chat("{\"model\":\"m\",\"messages\":[" + question +
                                 R"(,{"role":"assistant","content":"The"}]})");
  EXPECT_EQ(continued(past, text("a"), Continuation::prefix).text,
            start + R"(,{"role":"assistant","content":"The"},)"
                    R"({"role":"assistant","content":"a","prefix":true}]})");
}

TEST(Continuation, lowers_the_token_limits) {
  const std::string start = "{\"model\":\"m\",\"messages\":[" + question + "],";
  const Request request = read_chat(
      start + R"("max_tokens":10,"max_completion_tokens":10,"min_tokens":4,"stream":true})");
  const ContinuationBody body = continued(request, text("a", "", 9), Continuation::prefix);
  EXPECT_FALSE(body.complete);
  EXPECT_TRUE(body.hide_usage);
  EXPECT_NE(body.text.find(R"("max_tokens":1,"max_completion_tokens":1,"min_tokens":0,)"
                           R"("stream":true,"stream_options":{"include_usage":true}})"),
            std::string::npos)
      << body.text;
  EXPECT_TRUE(continued(request, text("a", "", 10), Continuation::prefix).complete);
  EXPECT_TRUE(continued(request, text("a", "", 1000), Continuation::prefix).complete);
  const Request unlimited = read_chat(start + R"("max_tokens":null})");
  EXPECT_FALSE(continued(unlimited, text("a", "", 1000), Continuation::prefix).complete);
}

TEST(Continuation, lowers_the_token_limit_under_the_upstreams_name) {
  const Request request =
      read_chat("{\"model\":\"m\",\"messages\":[" + question + R"(],"max_completion_tokens":10})");
  UpstreamForm form{"m"};
  form.continuation = Continuation::prefix;
  form.token_limit_field = "max_tokens";
  const BodyOutline outline = outline_body(request.raw_body);
  const std::string body = continuation_body(request, outline, form, text("a", "", 9)).text;
  EXPECT_NE(body.find(R"("max_tokens":1)"), std::string::npos) << body;
  EXPECT_EQ(body.find("max_completion_tokens"), std::string::npos) << body;
}

TEST(Continuation, of_a_prompt_is_a_longer_prompt) {
  const Request request =
      read_completion(R"({"model":"m","prompt":"def f[","suffix":"]","max_tokens":5})");
  EXPECT_EQ(why_not_continued(request, text("a, "), Continuation::none), "");
  EXPECT_EQ(continued(request, text("a, ", "", 2), Continuation::none).text,
            R"({"model":"m","prompt":"def f[a, ","suffix":"]","max_tokens":3})");
  const Request listed = read_completion(R"({"model":"m","prompt":["a"]})");
  EXPECT_EQ(continued(listed, text("b"), Continuation::none).text,
            R"({"model":"m","prompt":"ab"})");
}

TEST(Continuation, is_declined_where_it_is_not_sound) {
  const auto chat = [](std::string_view fields) {
    return read_chat("{\"messages\":[" + question + "]" + std::string(fields) + "}");
  };
  const auto why = [](const Request& request, const AnswerSoFar& so_far) {
    return std::string(why_not_continued(request, so_far, Continuation::prefix));
  };
  EXPECT_EQ(why(chat(""), text("a")), "");
  EXPECT_EQ(why(chat(R"(,"tools":[{"type":"function"}])"), text("a")), "");
  EXPECT_EQ(why(chat(R"(,"n":2)"), text("a")), "it has several choices");
  EXPECT_EQ(why(chat(R"(,"logprobs":true)"), text("a")), "logprobs were asked for");
  for (const std::string_view fields :
       {R"(,"response_format":{"type":"json_object"})", R"(,"guided_regex":"a")"}) {
    EXPECT_EQ(why(chat(fields), text("a")), "its form is prescribed");
  }
  EXPECT_NE(why(chat(R"(,"modalities":["audio"])"), text("a")), "");
  EXPECT_NE(why(chat(R"(,"web_search_options":{})"), text("a")), "");
  EXPECT_NE(why(read_completion(R"({"prompt":["a","b"]})"), text("a")), "");
  EXPECT_NE(why(read_completion(R"({"prompt":[1]})"), text("a")), "");
  EXPECT_NE(why(read_completion(R"({"prompt":"a","echo":true})"), text("a")), "");
  EXPECT_NE(why(read_completion(R"({"prompt":"a","best_of":2})"), text("a")), "");

  AnswerSoFar so_far = text("a");
  so_far.tool_call = true;
  EXPECT_EQ(why(chat(""), so_far), "a tool call was half-way");
  so_far = text("a");
  so_far.finish_reason = FinishReason::content_filter;
  EXPECT_EQ(why(chat(""), so_far), "a content filter has ended the answer");
  so_far.finish_reason = FinishReason::stop;
  EXPECT_EQ(why(chat(""), so_far), "the answer had ended");
  so_far = text("a");
  so_far.other = true;
  EXPECT_NE(why(chat(""), so_far), "");
  so_far = text("a");
  so_far.cut = true;
  EXPECT_NE(why(chat(""), so_far), "");

  const auto kind = [&](Continuation continuation, const AnswerSoFar& answer) {
    return std::string(why_not_continued(chat(""), answer, continuation));
  };
  EXPECT_EQ(kind(Continuation::none, text("a")), "this upstream cannot continue a message");
  EXPECT_EQ(kind(Continuation::prefix, text("", "hm")), "");
  EXPECT_NE(kind(Continuation::continue_final_message, text("", "hm")), "");
  EXPECT_NE(kind(Continuation::assistant_last, text("", "hm")), "");
  EXPECT_EQ(kind(Continuation::assistant_last, text("a", "hm")), "");
}

}  // namespace
}  // namespace deepseek::protocol
